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
[[maybe_unused]] std::vector<std::byte> with_byte(std::string_view hex, std::size_t offset, std::uint8_t value) {
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

TEST_CASE("an advertisement goes on the wire as keepalived's does", "[vrrp][rfc9568-5.1][rfc9568-5.2.8][rfc9568-7.2]") {
  CHECK(serialize_advertisement(golden(3), multicast.source, multicast.destination, false) == bytes_of(golden_v3));
  CHECK(serialize_advertisement(golden(3), multicast.source, multicast.destination, true) == bytes_of(golden_v3_plain));
  CHECK(serialize_advertisement(golden(2), multicast.source, multicast.destination, false) == bytes_of(golden_v2));
  auto with_password = golden(2);
  with_password.auth_password = "42";
  CHECK(serialize_advertisement(with_password, multicast.source, multicast.destination, false) ==
        bytes_of(golden_v2_password));
}

TEST_CASE("a well-formed packet is taken whole", "[vrrp][rfc9568-5.2][rfc9568-7.1][rfc3768-7.1]") {
  CHECK(parse_advertisement(bytes_of(golden_v3), multicast, expects(3)) == golden(3));
  CHECK(parse_advertisement(bytes_of(golden_v2), multicast, expects(2)) == golden(2));
  auto expectation = expects(2);
  expectation.auth_password = "42";
  auto advertisement = golden(2);
  advertisement.auth_password = "42";
  CHECK(parse_advertisement(bytes_of(golden_v2_password), multicast, expectation) == advertisement);
}

}  // namespace vipkeeper::vrrp
