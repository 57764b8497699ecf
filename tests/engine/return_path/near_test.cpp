#include "engine/return_path/near.h"

#include <catch2/catch.hpp>
#include <string>

namespace vipkeeper::return_path {
namespace {

AddressCount counted(const std::vector<std::string>& addresses) {
  AddressCount count;
  for (const auto& address : addresses) count.add(*IpAddress::parse(address));
  return count;
}

std::string found(const std::vector<std::string>& here, const std::vector<std::string>& elsewhere,
                  const std::vector<AttachedNetwork>& attached) {
  std::string text;
  for (const IpPrefix& network : near_networks(counted(here), counted(elsewhere), attached))
    text += (text.empty() ? "" : " ") + network.to_string();
  return text;
}

AttachedNetwork network(const std::string& prefix, int interface, bool leads_away = false) {
  return {*IpPrefix::parse(prefix), interface, leads_away};
}

TEST_CASE("a reply is sure to pass this node where its network hangs on this node alone", "[masquerade]") {
  const auto bridge = network("10.2.1.0/24", 5), uplink = network("192.0.2.0/24", 2, true);
  struct Row {
    std::string what;
    std::vector<std::string> here, elsewhere;
    std::vector<AttachedNetwork> attached;
    std::string near;
  };
  const std::vector<Row> rows{
      {"a pod bridge", {"10.2.1.5", "10.2.1.6"}, {"10.2.2.5"}, {uplink, bridge}, "10.2.1.0/24"},
      {"a route to each pod", {"10.2.1.5"}, {}, {uplink, network("10.2.1.5/32", 7)}, "10.2.1.5/32"},
      {"no pod of it is here", {}, {"10.2.1.5"}, {bridge}, ""},
      {"the nodes' own segment", {"192.0.2.11"}, {}, {uplink, bridge}, ""},
      {"behind a gateway", {"10.2.9.5"}, {}, {uplink, bridge}, ""},
      {"a network that spans nodes", {"10.2.1.5"}, {"10.2.1.6"}, {bridge}, ""},
      {"the narrower network counts", {"10.2.1.5"}, {}, {network("10.2.0.0/16", 2, true), bridge}, "10.2.1.0/24"},
      {"the narrower one leads away",
       {"10.2.1.5"},
       {},
       {network("10.2.0.0/16", 5), network("10.2.1.0/24", 2, true)},
       ""},
      {"one inside another", {"10.2.1.5", "10.2.2.5"}, {}, {network("10.2.0.0/16", 5), bridge}, "10.2.0.0/16"},
      {"a default route is no network", {"10.2.1.5"}, {}, {network("0.0.0.0/0", 9)}, ""},
      {"IPv6", {"2001:db8:1::5"}, {"10.2.1.6"}, {network("2001:db8:1::/64", 5)}, "2001:db8:1::/64"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(found(row.here, row.elsewhere, row.attached) == row.near);
  }
}

TEST_CASE("an address counts until the last virtual service that names it is gone", "[masquerade]") {
  AddressCount count;
  const IpAddress pod = *IpAddress::parse("10.2.1.5");
  CHECK(count.add(pod));
  CHECK_FALSE(count.add(pod));
  CHECK_FALSE(count.remove(pod));
  CHECK(count.any_in(*IpPrefix::parse("10.2.1.0/24")));
  CHECK(count.remove(pod));
  CHECK_FALSE(count.remove(pod));
  CHECK(count.empty());
  CHECK_FALSE(count.any_in(*IpPrefix::parse("10.2.1.0/24")));
}

}  // namespace
}  // namespace vipkeeper::return_path
