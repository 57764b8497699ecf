#include <catch2/catch.hpp>

#include "tests/engine/vrrp/routers.h"

// The lines are a contract with people's grep; "-D " marks what keepalived writes only with -D, "! " a warning.
namespace vipkeeper::vrrp {

using namespace test;
using Lines = std::vector<std::string>;

TEST_CASE("starting, taking over and stopping are logged in keepalived's words", "[vrrp]") {
  VirtualRouter router(parameters());
  auto actions = router.handle(start, Startup{});
  CHECK(lines(actions) == Lines{"(vips) Entering BACKUP STATE (init)"});
  CHECK(reason(actions) == "started");

  actions = router.handle(start + down_100, TimerExpired{});
  CHECK(lines(actions) ==
        Lines{"(vips) Entering MASTER STATE", "-D (vips) setting VIPs.", "-D (vips) Receive advertisement timeout"});
  CHECK(reason(actions) == "no advertisement from anybody for 3.61 s");

  actions = router.handle(start + 10s, Shutdown{});
  CHECK(lines(actions) == Lines{"-D (vips) sent 0 priority", "-D (vips) removing VIPs."});
  CHECK(reason(actions) == "shutdown");
}

TEST_CASE("a takeover says why", "[vrrp]") {
  auto router = in_backup();
  SECTION("nobody speaks any more") {
    router.handle(start + 2s, advert(150, "10.0.0.3"));
    CHECK(reason(router.handle(start + 2s + down_100, TimerExpired{})) == "no advertisement from 10.0.0.3 for 3.61 s");
  }
  SECTION("the Active Router stops") {
    router.handle(start + 1s, advert(150, "10.0.0.3"));
    CHECK(lines(router.handle(start + 1s, advert(0, "10.0.0.3"))) ==
          Lines{"-D (vips) Backup received priority 0 advertisement"});
    CHECK(reason(router.handle(start + 2s, TimerExpired{})) == "priority 0 from 10.0.0.3");
  }
  SECTION("the Active Router has a lower priority") {
    CHECK(lines(router.handle(start + 1s, advert(50, "10.0.0.3"))) ==
          Lines{"(vips) received lower priority (50) advert from 10.0.0.3 - discarding"});
    CHECK(reason(router.handle(start + down_100, TimerExpired{})) == "lower priority 50 from 10.0.0.3, ours 100");
  }
  SECTION("who spoke last counts, not who stopped or was discarded before") {
    router.handle(start + 1s, advert(0, "10.0.0.3"));
    router.handle(start + 1s, advert(50, "10.0.0.5"));
    router.handle(start + 1s, advert(150, "10.0.0.4"));
    CHECK(reason(router.handle(start + 1s + down_100, TimerExpired{})) == "no advertisement from 10.0.0.4 for 3.61 s");
  }
}

TEST_CASE("an Active that is challenged says by whom", "[vrrp]") {
  auto router = in_active();
  SECTION("higher priority") {
    const auto actions = router.handle(start, advert(150, "10.0.0.4"));
    CHECK(lines(actions) == Lines{"(vips) Master received advert from 10.0.0.4 with higher priority 150, ours 100",
                                  "(vips) Entering BACKUP STATE", "-D (vips) removing VIPs."});
    CHECK(reason(actions) == "higher priority 150 from 10.0.0.4, ours 100");
  }
  SECTION("equal priority, higher address") {
    const auto actions = router.handle(start, advert(100, "10.0.0.4"));
    CHECK(lines(actions) ==
          Lines{"(vips) Master received advert from 10.0.0.4 with same priority 100 but higher IP address than ours",
                "(vips) Entering BACKUP STATE", "-D (vips) removing VIPs."});
    CHECK(reason(actions) == "same priority 100 from the higher address 10.0.0.4");
  }
  SECTION("lower priority") {
    CHECK(lines(router.handle(start, advert(50, "10.0.0.4"))) ==
          Lines{"(vips) Received advert from 10.0.0.4 with lower priority 50, ours 100, forcing new election"});
  }
  SECTION("our own address") {
    CHECK(lines(router.handle(start, advert(100, "10.0.0.2"))) ==
          Lines{"! (vips) WARNING - equal priority advert received from remote host with our IP address."});
  }
}

TEST_CASE("faults are logged with their cause", "[vrrp]") {
  SECTION("before the start") {
    auto router = in_initialize();
    const auto actions = router.handle(start, FaultRaised{"interface eth0 is down"});
    CHECK(lines(actions) == Lines{"(vips) Entering FAULT STATE (init)"});
    CHECK(reason(actions) == "interface eth0 is down");
  }
  SECTION("a script, while Backup; then it recovers") {
    auto router = in_backup();
    auto actions = router.handle(start, FaultRaised{"script chk failed", "chk"});
    CHECK(lines(actions) == Lines{"(vips): entering FAULT state due to script chk", "(vips) Entering FAULT STATE"});
    CHECK(reason(actions) == "script chk failed");
    actions = router.handle(start, FaultCleared{});
    CHECK(lines(actions) == Lines{"(vips) Entering BACKUP STATE"});
    CHECK(reason(actions) == "fault cleared");
  }
  SECTION("an interface, while Active") {
    auto router = in_active();
    CHECK(lines(router.handle(start, FaultRaised{"interface eth0 is down"})) ==
          Lines{"(vips) Entering FAULT STATE", "-D (vips) sent 0 priority", "-D (vips) removing VIPs."});
  }
}

TEST_CASE("a changed effective priority is logged once the router runs, and only if it changed", "[vrrp]") {
  auto router = in_backup();
  CHECK(lines(router.handle(start, EffectivePriorityChanged{98})) ==
        Lines{"(vips) Changing effective priority from 100 to 98"});
  CHECK(lines(router.handle(start, EffectivePriorityChanged{98})).empty());
  auto told = parameters();
  told.priority = 120;
  CHECK(lines(router.handle(start, ParametersChanged{told})) ==
        Lines{"(vips) Changing effective priority from 98 to 118"});
  auto fresh = in_initialize();
  CHECK(lines(fresh.handle(start, EffectivePriorityChanged{98})).empty());
  CHECK(fresh.effective_priority() == 98);
  CHECK(lines(fresh.handle(start, ParametersChanged{told})).empty());
  CHECK(fresh.effective_priority() == 118);
}

TEST_CASE("preempt_delay is logged when it starts and when it is called off", "[vrrp]") {
  auto told = parameters();
  told.preempt_delay = 1500ms;
  auto router = in_backup(told);
  CHECK(lines(router.handle(start, advert(50, "10.0.0.3"))) == Lines{"(vips) start preempt delay (1.500000)"});
  CHECK(lines(router.handle(start + 1s, advert(50, "10.0.0.3"))).empty());
  CHECK(lines(router.handle(start + 1s, advert(150, "10.0.0.4"))) == Lines{"-D (vips) stop preempt delay"});
}

TEST_CASE("another interval than ours is logged once for each change", "[vrrp][rfc9568-7.1-interval-mismatch]") {
  auto router = in_backup();
  CHECK(lines(router.handle(start, advert(150, "10.0.0.3", 500ms))) ==
        Lines{"! (vips) learned advertisement interval 0.50 s from 10.0.0.3, ours is 1.00 s"});
  CHECK(lines(router.handle(start, advert(150, "10.0.0.3", 500ms))).empty());
  CHECK(lines(router.handle(start, advert(150, "10.0.0.3", 1s))) ==
        Lines{"(vips) learned advertisement interval 1.00 s from 10.0.0.3, ours is 1.00 s"});
}

TEST_CASE("states are named as keepalived names them", "[vrrp]") {
  CHECK(to_string(State::initialize) == "INIT");
  CHECK(to_string(State::backup) == "BACKUP");
  CHECK(to_string(State::active) == "MASTER");
  CHECK(to_string(State::fault) == "FAULT");
}

}  // namespace vipkeeper::vrrp
