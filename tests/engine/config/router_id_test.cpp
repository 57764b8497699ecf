// What tells two Virtual Routers of one host apart.
#include <catch2/catch.hpp>

#include "engine/config/router_id.h"

namespace vipkeeper::config {
namespace {

VrrpInstance multicast() {
  VrrpInstance instance;
  instance.interface = "eth0";
  instance.vrid = 51;
  instance.addresses = {{.prefix = *IpPrefix::parse("10.0.0.1/24"), .interface = "eth0", .label = "", .broadcast = {}}};
  return instance;
}

VrrpInstance unicast(const std::vector<const char*>& peers, const char* source = nullptr) {
  VrrpInstance instance = multicast();
  instance.unicast = true;
  for (const char* peer : peers) instance.unicast_peers.push_back(*IpAddress::parse(peer));
  if (source != nullptr) instance.source = IpAddress::parse(source);
  return instance;
}

bool same(const VrrpInstance& a, const VrrpInstance& b) {
  const bool result = RouterId::of(a) == RouterId::of(b);
  CHECK(hear_each_other(a, b) == hear_each_other(b, a));
  return result;
}

TEST_CASE("a router is its interface, VRID, family and transport, and nothing else", "[config][router-id]") {
  VrrpInstance other = multicast();
  other.name = "other";
  other.priority = 7;
  other.addresses.front().prefix = *IpPrefix::parse("10.0.0.2/24");
  other.source = IpAddress::parse("10.0.0.9");  // by multicast: whose source it is plays no part
  CHECK(same(multicast(), other));
  CHECK(RouterId::of(other) == RouterId{"eth0", 51, Family::ipv4, "multicast 224.0.0.18"});

  other = multicast();
  other.interface = "eth1";
  CHECK_FALSE(same(multicast(), other));
  other = multicast();
  other.vrid = 52;
  CHECK_FALSE(same(multicast(), other));
  other = multicast();
  other.multicast_group = *IpAddress::parse("224.0.0.19");
  CHECK_FALSE(same(multicast(), other));
  CHECK_FALSE(hear_each_other(multicast(), other));
  other = multicast();
  other.addresses.front().prefix = *IpPrefix::parse("2001:db8::1/64");
  CHECK_FALSE(same(multicast(), other));
  CHECK_FALSE(hear_each_other(multicast(), other));
}

TEST_CASE("a unicast router stays the same whoever its peers are", "[config][router-id]") {
  CHECK(same(unicast({"10.0.0.3", "10.0.0.2"}), unicast({"10.0.0.4"}, "10.0.0.9")));
  CHECK(same(unicast({}), unicast({"10.0.0.2"})));
  CHECK_FALSE(same(unicast({"10.0.0.2"}), multicast()));
}

TEST_CASE("two of one interface and VRID may hear each other or not", "[config][router-id]") {
  CHECK(hear_each_other(unicast({"10.0.0.2", "10.0.0.3"}), unicast({"10.0.0.3", "10.0.0.4"})));
  CHECK(hear_each_other(unicast({"10.0.0.2"}), unicast({"10.0.0.2"}, "10.0.0.9")));  // which may be the interface's own
  CHECK(hear_each_other(unicast({"10.0.0.2"}), multicast()));
  CHECK_FALSE(hear_each_other(unicast({"10.0.0.2"}, "10.0.0.8"), unicast({"10.0.0.2"}, "10.0.0.9")));
  CHECK_FALSE(hear_each_other(unicast({"10.0.0.2"}), unicast({"10.0.0.3"})));
}

}  // namespace
}  // namespace vipkeeper::config
