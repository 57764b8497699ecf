#include "engine/base/ip_address.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <unordered_set>
#include <vector>

namespace vipkeeper {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
IpPrefix prefix(std::string_view text) { return IpPrefix::parse(text).value(); }

}  // namespace

TEST_CASE("addresses in their usual forms are read and written back in the canonical one", "[base]") {
  struct Row {
    std::string_view text, canonical;
    Family family;
  };
  const std::array rows{
      Row{"0.0.0.0", "0.0.0.0", Family::ipv4},
      Row{"10.0.0.9", "10.0.0.9", Family::ipv4},
      Row{"255.255.255.255", "255.255.255.255", Family::ipv4},
      Row{"::", "::", Family::ipv6},
      Row{"::1", "::1", Family::ipv6},
      Row{"2001:DB8:0:0:0:0:0:60", "2001:db8::60", Family::ipv6},
      Row{"fe80::1", "fe80::1", Family::ipv6},
      Row{"::ffff:10.0.0.1", "::ffff:10.0.0.1", Family::ipv6},
      Row{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", Family::ipv6},
      Row{"1111:2222:3333:4444:5555:6666:123.123.123.123", "1111:2222:3333:4444:5555:6666:7b7b:7b7b", Family::ipv6},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto address = IpAddress::parse(row.text);
    REQUIRE(address);
    CHECK(address->to_string() == row.canonical);
    CHECK(address->family() == row.family);
    CHECK(address->bit_length() == (row.family == Family::ipv4 ? 32 : 128));
    CHECK(IpAddress::from_bytes(address->bytes()) == address);
  }
}

TEST_CASE("what is not exactly an address is refused", "[base]") {
  using namespace std::string_view_literals;
  constexpr std::array rows{
      ""sv,
      "10.0.0"sv,
      "10.0.0.1."sv,
      ".10.0.0.1"sv,
      "10.0.0.256"sv,
      "10.0.0.-1"sv,
      "010.0.0.1"sv,
      "10.0.0.01"sv,
      "10.0.00.1"sv,
      " 10.0.0.1"sv,
      "10.0.0.1 "sv,
      "10.0.0.1/24"sv,
      "10.0.0.1\0"sv,
      "0x0a.0.0.1"sv,
      "167772161"sv,
      "10..0.1"sv,
      "host"sv,
      ":"sv,
      ":::"sv,
      "1::2::3"sv,
      "fe80::1%eth0"sv,
      "[::1]"sv,
      "12345::"sv,
      "1:2:3:4:5:6:7:8:9"sv,
      "::1/64"sv,
      "1:2:3:4:5:6:7"sv,
      "10.0.0.1.2"sv,
      "10.0.0.1\n"sv,
      "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"sv,
  };
  for (const auto text : rows) {
    INFO('"' << text << '"');
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("addresses are ordered by family, then as numbers", "[base]") {
  std::vector<IpAddress> addresses;
  for (const auto text : {"::1", "10.0.0.10", "192.0.2.1", "10.0.0.9", "2001:db8::1", "0.0.0.0", "138.0.0.1"}) {
    addresses.push_back(ip(text));
  }
  std::ranges::sort(addresses);
  std::vector<std::string> texts;
  for (const auto& address : addresses) texts.push_back(address.to_string());
  CHECK(texts ==
        std::vector<std::string>{"0.0.0.0", "10.0.0.9", "10.0.0.10", "138.0.0.1", "192.0.2.1", "::1", "2001:db8::1"});
}

TEST_CASE("an IPv4 address is a number in host order", "[base]") {
  CHECK(IpAddress::v4(0x0a000001) == ip("10.0.0.1"));
  CHECK(ip("224.0.0.18").v4_host_order() == 0xe0000012);
  CHECK(IpAddress() == ip("0.0.0.0"));
}

TEST_CASE("an address is made of 4 or 16 bytes and nothing else", "[base]") {
  const std::vector<std::byte> bytes(17, std::byte{1});
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    CHECK(IpAddress::from_bytes(std::span(bytes).first(size)).has_value() == (size == 4 || size == 16));
  }
}

TEST_CASE("kinds of addresses", "[base]") {
  struct Row {
    std::string_view text;
    bool unspecified, loopback, multicast, link_local;
  };
  constexpr std::array rows{
      Row{"0.0.0.0", true, false, false, false},
      Row{"::", true, false, false, false},
      Row{"127.0.0.1", false, true, false, false},
      Row{"127.255.0.9", false, true, false, false},
      Row{"::1", false, true, false, false},
      Row{"::2", false, false, false, false},
      Row{"224.0.0.18", false, false, true, false},
      Row{"239.255.255.255", false, false, true, false},
      Row{"223.255.255.255", false, false, false, false},
      Row{"240.0.0.1", false, false, false, false},
      Row{"ff02::12", false, false, true, false},
      Row{"169.254.0.1", false, false, false, true},
      Row{"169.255.0.1", false, false, false, false},
      Row{"fe80::1", false, false, false, true},
      Row{"febf::1", false, false, false, true},
      Row{"fec0::1", false, false, false, false},
      Row{"10.0.0.1", false, false, false, false},
      Row{"2001:db8::1", false, false, false, false},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(ip(row.text).is_unspecified() == row.unspecified);
    CHECK(ip(row.text).is_loopback() == row.loopback);
    CHECK(ip(row.text).is_multicast() == row.multicast);
    CHECK(ip(row.text).is_link_local() == row.link_local);
  }
}

TEST_CASE("a prefix contains what shares its bits and family", "[base]") {
  struct Row {
    std::string_view prefix, address;
    bool contains;
  };
  constexpr std::array rows{
      Row{"10.0.0.0/24", "10.0.0.255", true},
      Row{"10.0.0.0/24", "10.0.1.0", false},
      Row{"10.0.0.7/24", "10.0.0.200", true},
      Row{"10.0.0.128/25", "10.0.0.127", false},
      Row{"10.0.0.128/25", "10.0.0.128", true},
      Row{"10.0.0.0/31", "10.0.0.1", true},
      Row{"10.0.0.0/31", "10.0.0.2", false},
      Row{"10.0.0.5/32", "10.0.0.5", true},
      Row{"10.0.0.5/32", "10.0.0.4", false},
      Row{"0.0.0.0/0", "203.0.113.9", true},
      Row{"0.0.0.0/0", "::", false},
      Row{"::/0", "10.0.0.1", false},
      Row{"::/0", "2001:db8::1", true},
      Row{"2001:db8::/33", "2001:db8:7fff::1", true},
      Row{"2001:db8::/33", "2001:db8:8000::1", false},
      Row{"2001:db8::1/128", "2001:db8::1", true},
      Row{"2001:db8::1/128", "2001:db8::2", false},
      Row{"10.0.0.5", "10.0.0.5", true},
  };
  for (const Row& row : rows) {
    INFO(row.prefix << " and " << row.address);
    CHECK(prefix(row.prefix).contains(ip(row.address)) == row.contains);
  }
}

TEST_CASE("prefixes are read with or without a length, and nothing else", "[base]") {
  CHECK(prefix("10.0.0.50").to_string() == "10.0.0.50/32");
  CHECK(prefix("2001:db8::60").to_string() == "2001:db8::60/128");
  CHECK(prefix("10.0.0.50/24").to_string() == "10.0.0.50/24");
  CHECK(prefix("10.0.0.50/0").length == 0);
  for (const auto text : {"10.0.0.50/", "10.0.0.50/33", "::1/129", "10.0.0.50/-1", "10.0.0.50/+8", "10.0.0.50/8 ",
                          "10.0.0.50/8/8", "/24", "10.0.0.50/999999999999", "10.0.0.50/2x", ""}) {
    INFO(text);
    CHECK_FALSE(IpPrefix::parse(text));
  }
}

TEST_CASE("equal addresses hash alike, so a set holds each once", "[base]") {
  std::unordered_set<IpAddress> set;
  for (const auto text : {"10.0.0.1", "10.0.0.2", "10.0.0.1", "2001:db8::1", "2001:0db8::0001"}) set.insert(ip(text));
  CHECK(set.size() == 3);
}

}  // namespace vipkeeper
