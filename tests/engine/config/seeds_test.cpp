// The keepalived.conf files that people published: each must be accepted and mean what its author meant.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

using namespace std::chrono_literals;

TEST_CASE("the keepalived.conf of every seed is accepted, with warnings at most", "[config][seeds]") {
  for (const std::string name :
       {"kube_keepalived_vip.conf", "haproxy_nopreempt.conf", "haproxy_master.conf", "haproxy_backup.conf"}) {
    const auto problems = problems_in(name, read_seed(name));
    CAPTURE(name, lines_of(problems));
    CHECK(std::ranges::none_of(problems, [](const Problem& p) { return p.severity == Severity::error; }));
  }
}

TEST_CASE("kube-keepalived-vip's text is the virtual router that its pods run", "[config][seeds]") {
  const VrrpInstance vips = only_instance(read_seed("kube_keepalived_vip.conf"));
  CHECK(vips.name == "vips");
  CHECK(vips.interface == "eth0");
  CHECK(vips.vrid == 50);
  CHECK(vips.priority == 104);
  CHECK(vips.version == 3);
  CHECK_FALSE(vips.preempt);
  CHECK_FALSE(vips.wants_master);
  CHECK(vips.advert_interval == 1s);
  CHECK(vips.unicast_peers.empty());
  CHECK(vips.track_interfaces.empty());  // its own
  REQUIRE(vips.addresses.size() == 1);
  CHECK(vips.addresses[0].prefix.to_string() == "172.16.40.33/32");
  CHECK(vips.addresses[0].interface == "eth0");
}

TEST_CASE("a seed's tracked script keeps its interval, weight, rise and fall", "[config][seeds]") {
  const ConfigDelta weighted = parse_good(read_seed("haproxy_master.conf"));
  REQUIRE(weighted.scripts.size() == 1);
  CHECK(weighted.scripts[0]->command == "killall -0 haproxy");
  CHECK(weighted.scripts[0]->interval == 2s);
  CHECK(weighted.scripts[0]->weight == 2);
  REQUIRE(weighted.instances.size() == 1);
  CHECK(weighted.instances[0]->wants_master);
  CHECK(weighted.instances[0]->priority == 101);
  CHECK(weighted.instances[0]->version == 2);
  CHECK(weighted.instances[0]->track_scripts == std::vector<TrackedScript>{{"chk_haproxy", 2, false}});
  CHECK(weighted.instances[0]->addresses[0].prefix.to_string() == "192.168.218.189/24");

  const ConfigDelta unweighted = parse_good(read_seed("haproxy_nopreempt.conf"));
  CHECK(unweighted.scripts[0]->command == "systemctl is-active haproxy");
  CHECK(unweighted.scripts[0]->rise == 2);
  CHECK(unweighted.scripts[0]->fall == 3);
  CHECK(unweighted.instances[0]->name == "HA-CLUSTER");
  CHECK(unweighted.instances[0]->track_scripts == std::vector<TrackedScript>{{"chk_haproxy", 0, false}});
  CHECK_FALSE(unweighted.instances[0]->preempt);
}

}  // namespace
}  // namespace vipkeeper::config
