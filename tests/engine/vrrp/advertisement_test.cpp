#include "engine/vrrp/advertisement.h"

#include <array>
#include <catch2/catch.hpp>

#include "engine/base/bytes.h"
#include "tests/engine/vrrp/packets.h"

namespace vipkeeper::vrrp {
namespace {

using namespace std::chrono_literals;
using test::bytes_of;
using test::ip;

// Seen on the wire from keepalived: version 3 with pseudo header, 10.9.9.1 -> 224.0.0.18.
constexpr auto golden_v3 = "31 33 96 01 00 64 31 61 0a 09 09 64";
// The same with the checksum of RFC 9568 for IPv4.
constexpr auto golden_v3_plain = "31 33 96 01 00 64 24 fa 0a 09 09 64";
// Version 2: no authentication, and the simple password "42".
constexpr auto golden_v2 = "21 33 96 01 00 01 35 5d 0a 09 09 64 00 00 00 00 00 00 00 00";
constexpr auto golden_v2_password = "21 33 96 01 01 01 00 2b 0a 09 09 64 34 32 00 00 00 00 00 00";

const Reception multicast{ip("10.9.9.1"), ip("224.0.0.18"), 255};

Advertisement golden(int version) {
  Advertisement advertisement;
  advertisement.version = version;
  advertisement.vrid = 51;
  advertisement.priority = 150;
  advertisement.interval = 1s;
  advertisement.addresses = {ip("10.9.9.100")};
  return advertisement;
}

Expectation expects(int version) {
  Expectation expectation;
  expectation.version = version;
  expectation.vrid = 51;
  expectation.interval = 1s;
  return expectation;
}

// The packet with byte `offset` replaced and the checksum made right again, so that only the tested field is wrong.
std::vector<std::byte> with_byte(std::string_view hex, std::size_t offset, std::uint8_t value) {
  auto packet = bytes_of(hex);
  packet[offset] = std::byte{value};
  packet[6] = packet[7] = std::byte{0};
  std::uint32_t pseudo = 0;
  if (packet[0] >> 4 != std::byte{2}) {
    pseudo = checksum_sum(multicast.source.bytes()) + checksum_sum(multicast.destination.bytes()) + ip_protocol_number +
             static_cast<std::uint32_t>(packet.size());
  }
  const auto sum = internet_checksum(packet, pseudo);
  packet[6] = static_cast<std::byte>(sum >> 8);
  packet[7] = static_cast<std::byte>(sum & 0xff);
  return packet;
}

}  // namespace

TEST_CASE("an advertisement goes on the wire as keepalived's does",
          "[vrrp][rfc9568-5.2.1-version][rfc9568-5.2.5-count][rfc9568-5.2.8-checksum][rfc9568-7.2-fields]") {
  CHECK(serialize_advertisement(golden(3), multicast.source, multicast.destination, false) == bytes_of(golden_v3));
  CHECK(serialize_advertisement(golden(3), multicast.source, multicast.destination, true) == bytes_of(golden_v3_plain));
  CHECK(serialize_advertisement(golden(2), multicast.source, multicast.destination, false) == bytes_of(golden_v2));
  auto with_password = golden(2);
  with_password.auth_password = "42";
  CHECK(serialize_advertisement(with_password, multicast.source, multicast.destination, false) ==
        bytes_of(golden_v2_password));
}

TEST_CASE("a well-formed packet is taken whole",
          "[vrrp][rfc9568-5.2.1-version][rfc9568-5.2.9-addresses][rfc9568-7.1-complete][rfc3768-7.1]") {
  CHECK(parse_advertisement(bytes_of(golden_v3), multicast, expects(3)) == golden(3));
  CHECK(parse_advertisement(bytes_of(golden_v2), multicast, expects(2)) == golden(2));
  auto expectation = expects(2);
  expectation.auth_password = "42";
  auto advertisement = golden(2);
  advertisement.auth_password = "42";
  CHECK(parse_advertisement(bytes_of(golden_v2_password), multicast, expectation) == advertisement);
}

TEST_CASE(
    "a packet that fails one check is dropped for that reason",
    "[vrrp][rfc9568-7.1-discard][rfc9568-7.1-version][rfc9568-7.1-type][rfc9568-7.1-complete][rfc9568-7.1-checksum]"
    "[rfc9568-7.1-vrid][rfc9568-7.1-interval-zero][rfc9568-5.2.2-type][rfc9568-5.2.5-count-zero][rfc3768-7.1]") {
  struct Row {
    std::string_view what;
    int version;
    std::vector<std::byte> packet;
    DropReason reason;
  };
  auto longer = bytes_of(golden_v3);
  longer.resize(longer.size() + 28);  // keepalived's auth_hmac trailer
  auto padded = bytes_of(golden_v3);
  padded.resize(26);  // the caller forgot to cut what Ethernet padded
  const std::array rows{
      Row{"nothing", 3, {}, DropReason::length},
      Row{"one byte", 3, bytes_of("31"), DropReason::length},
      Row{"a header cut short", 3, bytes_of("31 33 96 01 00 64 31"), DropReason::length},
      Row{"a header alone that promises an address", 3, bytes_of("31 33 96 01 00 64 31 61"), DropReason::length},
      Row{"an address cut short", 3, bytes_of("31 33 96 01 00 64 31 61 0a 09 09"), DropReason::length},
      Row{"more addresses promised than there are", 3, with_byte(golden_v3, 3, 2), DropReason::length},
      Row{"255 addresses promised", 3, with_byte(golden_v3, 3, 255), DropReason::length},
      Row{"fewer addresses promised than there are", 2, with_byte(golden_v2, 3, 0), DropReason::length},
      Row{"a trailer", 3, longer, DropReason::length},
      Row{"padding", 3, padded, DropReason::length},
      Row{"version 2 without authentication data", 2, with_byte("21 33 96 01 00 01 00 00 0a 09 09 64", 3, 1),
          DropReason::length},
      Row{"version 2 where 3 is configured", 3, bytes_of(golden_v2), DropReason::version},
      Row{"version 3 where 2 is configured", 2, bytes_of(golden_v3), DropReason::version},
      Row{"version 0", 3, with_byte(golden_v3, 0, 0x01), DropReason::version},
      Row{"version 4", 3, with_byte(golden_v3, 0, 0x41), DropReason::version},
      Row{"version 15", 3, with_byte(golden_v3, 0, 0xf1), DropReason::version},
      Row{"type 0", 3, with_byte(golden_v3, 0, 0x30), DropReason::type},
      Row{"type 2", 3, with_byte(golden_v3, 0, 0x32), DropReason::type},
      Row{"type 2 of version 2", 2, with_byte(golden_v2, 0, 0x22), DropReason::type},
      Row{"another virtual router", 3, with_byte(golden_v3, 1, 52), DropReason::vrid},
      Row{"virtual router 0", 2, with_byte(golden_v2, 1, 0), DropReason::vrid},
      Row{"no addresses", 3, with_byte("31 33 96 00 00 64 00 00", 3, 0), DropReason::address_list},
      Row{"interval 0", 3, with_byte(golden_v3, 5, 0), DropReason::interval},
      Row{"interval 0 under reserved bits", 3, with_byte("31 33 96 01 f0 64 00 00 0a 09 09 64", 5, 0),
          DropReason::interval},
      Row{"another interval, version 2", 2, with_byte(golden_v2, 5, 2), DropReason::interval},
      Row{"interval 0, version 2", 2, with_byte(golden_v2, 5, 0), DropReason::interval},
      Row{"a password where none is configured", 2, bytes_of(golden_v2_password), DropReason::auth},
      Row{"authentication type 2 (AH)", 2, with_byte(golden_v2, 4, 2), DropReason::auth},
      Row{"authentication type 255", 2, with_byte(golden_v2, 4, 255), DropReason::auth},
      Row{"a flipped bit in the checksum", 3, bytes_of("31 33 96 01 00 64 31 60 0a 09 09 64"), DropReason::checksum},
      Row{"a flipped bit in an address", 3, bytes_of("31 33 96 01 00 64 31 61 0a 09 09 65"), DropReason::checksum},
      Row{"a flipped bit in the priority", 2, bytes_of("21 33 97 01 00 01 35 5d 0a 09 09 64 00 00 00 00 00 00 00 00"),
          DropReason::checksum},
      Row{"a checksum of 0", 3, bytes_of("31 33 96 01 00 64 00 00 0a 09 09 64"), DropReason::checksum},
      Row{"no pseudo header", 3, bytes_of(golden_v3_plain), DropReason::checksum},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const auto result = parse_advertisement(row.packet, multicast, expects(row.version));
    REQUIRE_FALSE(result.has_value());
    CHECK(to_string(result.error()) == to_string(row.reason));
  }
}

TEST_CASE("version 2 compares the password", "[vrrp][rfc3768-7.1]") {
  auto expectation = expects(2);
  struct Row {
    std::string configured;
    std::string_view packet;
    bool taken;
  };
  const std::array rows{
      Row{"42", golden_v2_password, true},   Row{"43", golden_v2_password, false}, Row{"4", golden_v2_password, false},
      Row{"420", golden_v2_password, false}, Row{"42", golden_v2, false},          Row{"", golden_v2, true},
  };
  for (const Row& row : rows) {
    INFO("configured: " << row.configured);
    expectation.auth_password = row.configured;
    const auto result = parse_advertisement(bytes_of(row.packet), multicast, expectation);
    CHECK(result.has_value() == row.taken);
    if (!result) CHECK(to_string(result.error()) == "auth");
  }
}

TEST_CASE("a password longer than the field is cut the same way on both sides", "[vrrp][rfc3768-7.1]") {
  auto advertisement = golden(2);
  advertisement.auth_password = "correcthorse";
  auto expectation = expects(2);
  expectation.auth_password = "correcthorsebattery";
  const auto packet = serialize_advertisement(advertisement, multicast.source, multicast.destination, false);
  CHECK(packet.size() == 20);
  const auto result = parse_advertisement(packet, multicast, expectation);
  REQUIRE(result);
  CHECK(result->auth_password == "correcth");
}

TEST_CASE("multicast has to come with TTL 255, unicast may be routed",
          "[vrrp][rfc9568-5.1.1.3-ttl-received][rfc9568-7.1-ttl]") {
  auto reception = multicast;
  for (const int ttl : {0, 1, 64, 254}) {
    reception.ttl = static_cast<std::uint8_t>(ttl);
    const auto result = parse_advertisement(bytes_of(golden_v3), reception, expects(3));
    REQUIRE_FALSE(result);
    CHECK(to_string(result.error()) == "ttl");
  }
  auto expectation = expects(3);
  expectation.multicast = false;
  expectation.unicast_peers = {ip("10.9.9.1")};
  const Reception routed{ip("10.9.9.1"), ip("10.9.9.2"), 63};
  const auto packet = serialize_advertisement(golden(3), routed.source, routed.destination, false);
  CHECK(parse_advertisement(packet, routed, expectation) == golden(3));
}

TEST_CASE("unicast is heard from configured peers only", "[vrrp]") {
  auto expectation = expects(3);
  expectation.multicast = false;
  expectation.unicast_peers = {ip("10.9.9.1"), ip("10.9.9.3")};
  struct Row {
    std::string_view source, destination;
    bool multicast_configured;
    bool taken;
  };
  const std::array rows{
      Row{"10.9.9.1", "10.9.9.2", false, true},    Row{"10.9.9.3", "10.9.9.2", false, true},
      Row{"10.9.9.4", "10.9.9.2", false, false},   Row{"10.9.9.1", "224.0.0.18", false, false},
      Row{"10.9.9.4", "224.0.0.18", false, false}, Row{"10.9.9.1", "10.9.9.2", true, false},
      Row{"10.9.9.4", "224.0.0.18", true, true},
  };
  for (const Row& row : rows) {
    INFO(row.source << " -> " << row.destination << (row.multicast_configured ? ", multicast" : ", unicast"));
    expectation.multicast = row.multicast_configured;
    const Reception reception{ip(row.source), ip(row.destination), 255};
    const auto packet = serialize_advertisement(golden(3), reception.source, reception.destination, false);
    const auto result = parse_advertisement(packet, reception, expectation);
    CHECK(result.has_value() == row.taken);
    if (!result) CHECK(to_string(result.error()) == "source");
  }
}

TEST_CASE("v3_checksum_as_v2 sends without the pseudo header and takes both", "[vrrp][rfc9568-5.2.8-checksum]") {
  auto expectation = expects(3);
  expectation.checksum_without_pseudo_header = true;
  CHECK(parse_advertisement(bytes_of(golden_v3_plain), multicast, expectation) == golden(3));
  CHECK(parse_advertisement(bytes_of(golden_v3), multicast, expectation) == golden(3));
  CHECK_FALSE(parse_advertisement(bytes_of("31 33 96 01 00 64 24 fb 0a 09 09 64"), multicast, expectation));
}

TEST_CASE("the pseudo header holds the addresses of the IP header", "[vrrp][rfc9568-5.2.8-checksum]") {
  auto reception = multicast;
  reception.source = ip("10.9.9.7");
  const auto result = parse_advertisement(bytes_of(golden_v3), reception, expects(3));
  REQUIRE_FALSE(result);
  CHECK(to_string(result.error()) == "checksum");
}

TEST_CASE("reserved bits are sent as zero and ignored when they come", "[vrrp][rfc9568-5.2.6-reserve]") {
  CHECK(parse_advertisement(with_byte(golden_v3, 4, 0xf0), multicast, expects(3)) == golden(3));
  auto longest = golden(3);
  longest.interval = 100s;
  const auto packet = serialize_advertisement(longest, multicast.source, multicast.destination, false);
  CHECK((packet[4] & std::byte{0xf0}) == std::byte{0});
}

TEST_CASE("a router without addresses hears its equals", "[vrrp][rfc9568-5.2.5-count-zero]") {
  auto empty = golden(3);
  empty.addresses.clear();
  const auto packet = serialize_advertisement(empty, multicast.source, multicast.destination, false);
  CHECK(packet.size() == 8);
  auto expectation = expects(3);
  CHECK_FALSE(parse_advertisement(packet, multicast, expectation));
  expectation.empty_address_list = true;
  CHECK(parse_advertisement(packet, multicast, expectation) == empty);
  // RFC 3768 has no such rule.
  empty.version = 2;
  CHECK(parse_advertisement(serialize_advertisement(empty, multicast.source, multicast.destination, false), multicast,
                            expects(2)) == empty);
}

TEST_CASE("the interval is 12 bits of centiseconds in version 3, whole seconds in version 2",
          "[vrrp][rfc9568-5.2.7-interval][rfc3768-5.3.7]") {
  struct Row {
    int version;
    Duration asked;
    Duration carried;
  };
  const std::array rows{
      Row{3, 10ms, 10ms}, Row{3, 40950ms, 40950ms}, Row{3, 1s, 1s},       Row{3, 2560ms, 2560ms}, Row{3, 15ms, 10ms},
      Row{3, 1ms, 10ms},  Row{3, 0ms, 10ms},        Row{3, 50s, 40950ms}, Row{2, 1s, 1s},         Row{2, 255s, 255s},
      Row{2, 300ms, 1s},  Row{2, 1500ms, 2s},       Row{2, 0s, 1s},       Row{2, 300s, 255s},
  };
  for (const Row& row : rows) {
    INFO("version " << row.version << ", " << std::chrono::duration<double>(row.asked).count() << " s");
    auto advertisement = golden(row.version);
    advertisement.interval = row.asked;
    auto expectation = expects(row.version);
    expectation.interval = row.asked;
    const auto packet = serialize_advertisement(advertisement, multicast.source, multicast.destination, false);
    const auto result = parse_advertisement(packet, multicast, expectation);
    REQUIRE(result);
    CHECK(result->interval == row.carried);
  }
}

TEST_CASE("what is sent is what is received, for 0 to 255 addresses and both versions",
          "[vrrp][rfc9568-5.2.3-vrid][rfc9568-5.2.4-priority][rfc9568-5.2.5-count][rfc9568-5.2.9-addresses]") {
  for (const int version : {2, 3}) {
    for (const std::size_t count : {1U, 2U, 3U, 20U, 254U, 255U, 300U}) {
      for (const int priority : {0, 1, 254, 255}) {
        auto sent = golden(version);
        sent.vrid = static_cast<std::uint8_t>(count % 255 + 1);
        sent.priority = static_cast<std::uint8_t>(priority);
        sent.addresses.clear();
        for (std::size_t i = 0; i < count; ++i)
          sent.addresses.push_back(IpAddress::v4(0x0a090000U + static_cast<std::uint32_t>(i)));
        auto expectation = expects(version);
        expectation.vrid = sent.vrid;
        const auto packet = serialize_advertisement(sent, multicast.source, multicast.destination, false);
        CHECK(peek_vrid(packet) == sent.vrid);
        if (count > 255) sent.addresses.resize(255);
        CHECK(parse_advertisement(packet, multicast, expectation) == sent);
      }
    }
  }
}

TEST_CASE("the virtual router is known from any packet that has a header", "[vrrp]") {
  CHECK(peek_vrid(bytes_of(golden_v3)) == 51);
  CHECK(peek_vrid(bytes_of("31 07 96 01 00 64 31 61")) == 7);
  CHECK_FALSE(peek_vrid(bytes_of("31 07 96 01 00 64 31")));
  CHECK_FALSE(peek_vrid({}));
}

TEST_CASE("a list of other addresses is accepted and told apart", "[vrrp][rfc9568-7.1-address-list]") {
  auto advertisement = golden(3);
  advertisement.addresses = {ip("10.9.9.100"), ip("10.9.9.101")};
  const auto packet = serialize_advertisement(advertisement, multicast.source, multicast.destination, false);
  CHECK(parse_advertisement(packet, multicast, expects(3)).has_value());
  using List = std::vector<IpAddress>;
  CHECK(advertises_exactly(advertisement, List{ip("10.9.9.100"), ip("10.9.9.101")}));
  CHECK(advertises_exactly(advertisement, List{ip("10.9.9.101"), ip("10.9.9.100")}));
  CHECK_FALSE(advertises_exactly(advertisement, List{ip("10.9.9.100")}));
  CHECK_FALSE(advertises_exactly(advertisement, List{ip("10.9.9.100"), ip("10.9.9.100")}));
  CHECK_FALSE(advertises_exactly(advertisement, List{}));
}

}  // namespace vipkeeper::vrrp
