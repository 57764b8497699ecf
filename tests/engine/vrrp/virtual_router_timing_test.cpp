#include <array>
#include <catch2/catch.hpp>

#include "tests/engine/vrrp/routers.h"

namespace vipkeeper::vrrp {
namespace {

using namespace test;

// How long after `since` the router acts next, if nothing else happens.
Duration wait(const VirtualRouter& router, TimePoint since = start) { return router.next_deadline().value() - since; }

}  // namespace

TEST_CASE("a Backup waits for three intervals and its skew",
          "[vrrp][rfc9568-6.1-skew-time][rfc9568-6.1-active-down-interval][rfc9568-6.4.1-backup][rfc3768-6.1]") {
  struct Row {
    int version;
    int priority;
    Duration interval;
    Duration wait;
  };
  const std::array rows{
      // Version 3: (256 - priority) * interval / 256.
      Row{3, 100, 1s, 3s + 609375us},
      Row{3, 254, 1s, 3s + 7812500ns},
      Row{3, 1, 1s, 3s + 996093750ns},
      Row{3, 150, 10ms, 30ms + 4140625ns},
      Row{3, 128, 40950ms, 122850ms + 20475ms},
      // Version 2: (256 - priority) / 256 seconds, whatever the interval.
      Row{2, 100, 1s, 3s + 609375us},
      Row{2, 100, 10s, 30s + 609375us},
      Row{2, 128, 255s, 765s + 500ms},
  };
  for (const Row& row : rows) {
    INFO("version " << row.version << ", priority " << row.priority << ", interval "
                    << std::chrono::duration<double>(row.interval).count());
    auto told = parameters();
    told.version = row.version;
    told.priority = static_cast<std::uint8_t>(row.priority);
    told.advert_interval = row.interval;
    CHECK(wait(in_backup(told)) == row.wait);
  }
}

TEST_CASE("down_timer_adverts stands in for the three", "[vrrp]") {
  auto told = parameters();
  told.down_timer_adverts = 5;
  CHECK(wait(in_backup(told)) == 5s + skew_100);
}

TEST_CASE("the timer goes off at its deadline and not a nanosecond before", "[vrrp][rfc9568-6.2-timers]") {
  auto backup = in_backup();
  CHECK(backup.handle(start + down_100 - 1ns, TimerExpired{}).empty());
  CHECK(spell(backup.handle(start + down_100, TimerExpired{})) == "send 100; add; announce; BACKUP>MASTER");
  CHECK(wait(backup, start + down_100) == 1s);
  CHECK(backup.handle(start + down_100 + 1s - 1ns, TimerExpired{}).empty());
  CHECK(spell(backup.handle(start + down_100 + 1s, TimerExpired{})) == "send 100");
}

TEST_CASE("an accepted advertisement sets the whole timer again, a discarded one leaves it",
          "[vrrp][rfc9568-6.4.2-follow][rfc9568-6.4.2-discard]") {
  auto router = in_backup();
  router.handle(start + 2s, advert(100, "10.0.0.1"));
  CHECK(wait(router) == 2s + down_100);
  router.handle(start + 3s, advert(99, "10.0.0.3"));
  CHECK(wait(router) == 2s + down_100);
  router.handle(start + 3s, advert(101, "10.0.0.3"));
  CHECK(wait(router) == 3s + down_100);
}

TEST_CASE("priority 0 sets the timer to the skew, whoever sends it", "[vrrp][rfc9568-6.4.2-priority-zero]") {
  auto router = in_backup();
  router.handle(start, advert(150, "10.0.0.3", 2s));
  router.handle(start + 1s, advert(0, "10.0.0.3", 2s));
  CHECK(wait(router, start + 1s) == 2 * skew_100);

  auto told = parameters();
  told.version = 2;
  told.advert_interval = 10s;
  auto second = in_backup(told);
  second.handle(start + 1s, advert(0, "10.0.0.3", 10s));
  CHECK(wait(second, start + 1s) == skew_100);
}

TEST_CASE("version 3 learns the interval of whom it follows, version 2 keeps its own",
          "[vrrp][rfc9568-6.1-active-adver-interval][rfc9568-6.4.2-follow][rfc9568-7.1-interval-mismatch]") {
  auto router = in_backup();
  router.handle(start, advert(150, "10.0.0.3", 100ms));
  CHECK(wait(router) == down_100 / 10);
  router.handle(start, advert(50, "10.0.0.4", 20s));
  CHECK(wait(router) == down_100 / 10);
  router.handle(start, advert(150, "10.0.0.3", 2s));
  CHECK(wait(router) == 2 * down_100);

  SECTION("an Active Router advertises at its own pace") {
    const TimePoint later = start + 2 * down_100;
    router.handle(later, TimerExpired{});
    CHECK(wait(router, later) == 1s);
  }
  SECTION("after a fault it starts from its own interval") {
    router.handle(start, FaultRaised{"interface eth0 is down"});
    router.handle(start, FaultCleared{});
    CHECK(wait(router) == down_100);
  }
  auto told = parameters();
  told.version = 2;
  auto second = in_backup(told);
  second.handle(start, advert(150, "10.0.0.3", 2s));
  CHECK(wait(second) == down_100);
}

TEST_CASE("an Active that yields waits as long as the winner's interval says",
          "[vrrp][rfc9568-6.4.3-higher][rfc9568-6.4.3-equal-higher-address]") {
  auto router = in_active();
  router.handle(start + 500ms, advert(150, "10.0.0.3", 100ms));
  CHECK(wait(router, start + 500ms) == down_100 / 10);
  CHECK(router.active_router() == ip("10.0.0.3"));
  auto equal = in_active();
  equal.handle(start, advert(100, "10.0.0.3", 100ms));
  CHECK(wait(equal) == down_100 / 10);
}

TEST_CASE("an Active that answered starts its interval again",
          "[vrrp][rfc9568-6.4.3-priority-zero][rfc9568-6.4.3-lower]") {
  for (const int priority : {0, 50}) {
    auto router = in_active();
    router.handle(start + 700ms, advert(priority, "10.0.0.1"));
    CHECK(wait(router) == 1700ms);
  }
}

TEST_CASE("a changed effective priority shifts a Backup's running timer by the difference of the skews", "[vrrp]") {
  auto router = in_backup();
  router.handle(start + 1s, EffectivePriorityChanged{164});
  CHECK(wait(router) == 3s + 359375us);
  router.handle(start + 2s, EffectivePriorityChanged{100});
  CHECK(wait(router) == down_100);
  router.handle(start + 2s, advert(0, "10.0.0.3"));
  router.handle(start + 2s, EffectivePriorityChanged{228});
  CHECK(wait(router, start + 2s) == 109375us);

  auto told = parameters();
  told.version = 2;
  told.advert_interval = 10s;
  auto second = in_backup(told);
  second.handle(start, EffectivePriorityChanged{164});
  CHECK(wait(second) == 30s + 359375us);
}

TEST_CASE("an Active sends its new effective priority from the next advertisement on", "[vrrp]") {
  auto router = in_active();
  router.handle(start, EffectivePriorityChanged{80});
  CHECK(wait(router) == 1s);
  CHECK(spell(router.handle(start + 1s, TimerExpired{})) == "send 80");
  CHECK(spell(router.handle(start + 1s, advert(81, "10.0.0.1"))) == "remove; MASTER>BACKUP");
}

TEST_CASE("an Active keeps its rhythm through small delays and sends no burst after a large one",
          "[vrrp][rfc9568-6.4.3-timer]") {
  auto router = in_active();
  router.handle(start + 1s + 3ms, TimerExpired{});
  CHECK(wait(router) == 2s);
  CHECK(spell(router.handle(start + 60s, TimerExpired{})) == "send 100");
  CHECK(router.handle(start + 60s, TimerExpired{}).empty());
  CHECK(wait(router) == 61s);
  // Late by most of an interval: the next is not squeezed in right behind.
  router.handle(start + 61s + 900ms, TimerExpired{});
  CHECK(wait(router) == 62s + 900ms);
}

TEST_CASE("nopreempt follows a lower priority for as long as it speaks", "[vrrp][rfc9568-6.1-preempt-mode]") {
  auto told = parameters();
  told.preempt = false;
  auto router = in_backup(told);
  for (int i = 1; i <= 20; ++i) {
    CHECK(spell(router.handle(start + i * 1s, advert(1, "10.0.0.3"))).empty());
    CHECK(wait(router, start + i * 1s) == down_100);
  }
  CHECK(router.active_router() == ip("10.0.0.3"));
  CHECK(spell(router.handle(start + 20s + down_100, TimerExpired{})) == "send 100; add; announce; BACKUP>MASTER");
}

TEST_CASE("preempt_delay follows a lower priority until it is over", "[vrrp]") {
  auto told = parameters();
  told.preempt_delay = 5s;
  auto router = in_backup(told);
  router.handle(start + 1s, advert(50, "10.0.0.3"));
  CHECK(wait(router) == 1s + down_100);
  router.handle(start + 6s - 1ns, advert(50, "10.0.0.3"));
  CHECK(wait(router) == 6s - 1ns + down_100);
  router.handle(start + 6s, advert(50, "10.0.0.3"));
  CHECK(wait(router) == 6s - 1ns + down_100);

  SECTION("an equal or higher priority in between starts it anew") {
    router.handle(start + 7s, advert(100, "10.0.0.4"));
    router.handle(start + 8s, advert(50, "10.0.0.3"));
    CHECK(wait(router) == 8s + down_100);
    router.handle(start + 12s, advert(50, "10.0.0.3"));
    CHECK(wait(router) == 12s + down_100);
    router.handle(start + 13s, advert(50, "10.0.0.3"));
    CHECK(wait(router) == 12s + down_100);
  }
  SECTION("a router that becomes Backup again waits anew") {
    router.handle(start + 30s, TimerExpired{});
    REQUIRE(router.state() == State::active);
    router.handle(start + 30s, advert(200, "10.0.0.4"));
    router.handle(start + 31s, advert(50, "10.0.0.3"));
    CHECK(wait(router) == 31s + down_100);
  }
}

TEST_CASE("a reload keeps the state and moves the running timers", "[vrrp]") {
  auto told = parameters();
  told.advert_interval = 100ms;
  SECTION("a Backup that has heard nobody takes its new interval") {
    auto router = in_backup();
    router.handle(start + 50ms, ParametersChanged{told});
    CHECK(wait(router) == down_100 / 10);
    CHECK(router.parameters() == told);
  }
  SECTION("a Backup that follows somebody keeps the interval it learned") {
    auto router = in_backup();
    router.handle(start, advert(150, "10.0.0.3", 2s));
    router.handle(start, ParametersChanged{told});
    CHECK(wait(router) == 2 * down_100);
  }
  SECTION("version 2 takes its new interval in any case") {
    auto old = parameters();
    old.version = told.version = 2;
    told.advert_interval = 2s;
    auto router = in_backup(old);
    router.handle(start, advert(150, "10.0.0.3"));
    router.handle(start, ParametersChanged{told});
    CHECK(wait(router) == 6s + skew_100);
  }
  SECTION("an Active with a shorter interval does not sit out the longer one") {
    auto router = in_active();
    router.handle(start + 200ms, ParametersChanged{told});
    CHECK(wait(router) == 300ms);
    auto back = router.handle(start + 300ms, ParametersChanged{parameters()});
    CHECK(wait(router) == 300ms);
    router.handle(start + 300ms, TimerExpired{});
    CHECK(wait(router) == 1300ms);
  }
  SECTION("a priority of 0 that was heard counts on with the skew alone") {
    auto router = in_backup();
    router.handle(start, advert(0, "10.0.0.3"));
    told.advert_interval = 1s;
    told.down_timer_adverts = 10;
    router.handle(start, ParametersChanged{told});
    CHECK(wait(router) == skew_100);
  }
  SECTION("the effective priority moves with the configured one and keeps what trackers did") {
    auto router = in_backup();
    router.handle(start, EffectivePriorityChanged{80});
    told = parameters();
    told.priority = 164;
    router.handle(start, ParametersChanged{told});
    CHECK(router.effective_priority() == 144);
    CHECK(wait(router) == 3s + 437500us);
    told.priority = 10;
    router.handle(start, ParametersChanged{told});
    CHECK(router.effective_priority() == 1);
  }
  SECTION("an owner that becomes an ordinary router takes the configured priority") {
    told = parameters();
    told.priority = 255;
    auto router = in_initialize(told);
    router.handle(start, Startup{});
    router.handle(start, ParametersChanged{parameters()});
    CHECK(router.effective_priority() == 100);
    CHECK(router.state() == State::active);
  }
}

}  // namespace vipkeeper::vrrp
