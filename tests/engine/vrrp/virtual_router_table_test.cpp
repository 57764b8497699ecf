#include <array>
#include <catch2/catch.hpp>

#include "tests/engine/vrrp/routers.h"

// Every state times every event, and for Received every kind of advertisement that the state tells apart.
namespace vipkeeper::vrrp {
namespace {

using namespace test;

Parameters with_priority(int priority) {
  auto told = parameters();
  told.priority = static_cast<std::uint8_t>(priority);
  return told;
}

struct Row {
  std::string_view what;
  Event event;
  std::string_view actions;
  State after;
};

template <std::size_t Count>
void check_rows(VirtualRouter (*make)(Parameters), const std::array<Row, Count>& rows, TimePoint now = start + 500ms) {
  for (const Row& row : rows) {
    INFO(row.what);
    VirtualRouter router = make(parameters());
    CHECK(spell(router.handle(now, row.event)) == row.actions);
    CHECK(router.state() == row.after);
    CHECK(router.next_deadline().has_value() == (row.after == State::backup || row.after == State::active));
  }
}

}  // namespace

TEST_CASE("Initialize leaves for Backup at Startup and for Fault at a fault, and ignores the rest",
          "[vrrp][rfc9568-6.4.1-backup]") {
  check_rows(in_initialize,
             std::array{
                 Row{"Startup", Startup{}, "remove; INIT>BACKUP", State::backup},
                 Row{"priority 0", advert(0, "10.0.0.3"), "", State::initialize},
                 Row{"lower", advert(50, "10.0.0.3"), "", State::initialize},
                 Row{"higher", advert(150, "10.0.0.3"), "", State::initialize},
                 Row{"TimerExpired", TimerExpired{}, "", State::initialize},
                 Row{"EffectivePriorityChanged", EffectivePriorityChanged{90}, "", State::initialize},
                 Row{"FaultRaised", FaultRaised{"interface eth0 is down"}, "remove; INIT>FAULT", State::fault},
                 Row{"FaultCleared", FaultCleared{}, "", State::initialize},
                 Row{"Shutdown", Shutdown{}, "", State::initialize},
                 Row{"ParametersChanged", ParametersChanged{with_priority(120)}, "", State::initialize},
             });
}

TEST_CASE("Backup in the middle of its timer",
          "[vrrp][rfc9568-6.4.2-shutdown][rfc9568-6.4.2-priority-zero][rfc9568-6.4.2-follow][rfc9568-6.4.2-discard]"
          "[rfc9568-6.4.2-holds-nothing]") {
  check_rows(in_backup, std::array{
                            Row{"Startup", Startup{}, "", State::backup},
                            Row{"priority 0", advert(0, "10.0.0.3"), "", State::backup},
                            Row{"lower", advert(50, "10.0.0.3"), "", State::backup},
                            Row{"equal, lower address", advert(100, "10.0.0.1"), "", State::backup},
                            Row{"equal, higher address", advert(100, "10.0.0.3"), "", State::backup},
                            Row{"equal, our address", advert(100, "10.0.0.2"), "", State::backup},
                            Row{"higher", advert(150, "10.0.0.3"), "", State::backup},
                            Row{"owner", advert(255, "10.0.0.3"), "", State::backup},
                            Row{"TimerExpired, early", TimerExpired{}, "", State::backup},
                            Row{"EffectivePriorityChanged", EffectivePriorityChanged{90}, "", State::backup},
                            Row{"FaultRaised", FaultRaised{"interface eth0 is down"}, "BACKUP>FAULT", State::fault},
                            Row{"FaultCleared", FaultCleared{}, "", State::backup},
                            Row{"Shutdown", Shutdown{}, "BACKUP>INIT", State::initialize},
                            Row{"ParametersChanged", ParametersChanged{with_priority(120)}, "", State::backup},
                            Row{"ParametersChanged to owner", ParametersChanged{with_priority(255)},
                                "send 255; add; announce; BACKUP>MASTER", State::active},
                        });
}

TEST_CASE("Backup whose timer is over becomes Active: the packet first, then the addresses, then the announcement",
          "[vrrp][rfc9568-6.4.2-timer][rfc9568-6.2-timers]") {
  check_rows(in_backup,
             std::array{
                 Row{"TimerExpired", TimerExpired{}, "send 100; add; announce; BACKUP>MASTER", State::active},
                 // The loop hands over packets before timers, so the advertisement that lay in the socket wins.
                 Row{"higher", advert(150, "10.0.0.3"), "", State::backup},
             },
             start + down_100);
  auto router = in_backup();
  const TimePoint late = start + down_100 + 5s;
  CHECK(spell(router.handle(late, advert(150, "10.0.0.3"))).empty());
  CHECK(spell(router.handle(late, TimerExpired{})).empty());
  CHECK(router.state() == State::backup);
}

TEST_CASE("Active",
          "[vrrp][rfc9568-6.4.3-shutdown][rfc9568-6.4.3-timer][rfc9568-6.4.3-priority-zero][rfc9568-6.4.3-higher]"
          "[rfc9568-6.4.3-equal-higher-address][rfc9568-6.4.3-lower]") {
  check_rows(
      in_active,
      std::array{
          Row{"Startup", Startup{}, "", State::active},
          Row{"priority 0", advert(0, "10.0.0.3"), "send 100", State::active},
          Row{"lower", advert(99, "10.0.0.3"), "send 100; announce", State::active},
          Row{"equal, lower address", advert(100, "10.0.0.1"), "send 100; announce", State::active},
          Row{"equal, our address", advert(100, "10.0.0.2"), "", State::active},
          Row{"equal, higher address", advert(100, "10.0.0.3"), "remove; MASTER>BACKUP", State::backup},
          Row{"equal, higher as a number, not as text", advert(100, "10.0.0.10"), "remove; MASTER>BACKUP",
              State::backup},
          Row{"equal, higher in the last bit of the first byte", advert(100, "138.0.0.1"), "remove; MASTER>BACKUP",
              State::backup},
          Row{"higher", advert(101, "10.0.0.1"), "remove; MASTER>BACKUP", State::backup},
          Row{"owner", advert(255, "10.0.0.1"), "remove; MASTER>BACKUP", State::backup},
          Row{"TimerExpired, early", TimerExpired{}, "", State::active},
          Row{"EffectivePriorityChanged", EffectivePriorityChanged{90}, "", State::active},
          Row{"FaultRaised", FaultRaised{"script chk failed", "chk"}, "send 0; remove; MASTER>FAULT", State::fault},
          Row{"FaultCleared", FaultCleared{}, "", State::active},
          Row{"Shutdown", Shutdown{}, "send 0; remove; MASTER>INIT", State::initialize},
          Row{"ParametersChanged", ParametersChanged{with_priority(120)}, "", State::active},
      });
  check_rows(in_active, std::array{Row{"TimerExpired", TimerExpired{}, "send 100", State::active}}, start + 1s);
}

TEST_CASE("Fault waits for FaultCleared", "[vrrp]") {
  check_rows(in_fault, std::array{
                           Row{"Startup", Startup{}, "", State::fault},
                           Row{"priority 0", advert(0, "10.0.0.3"), "", State::fault},
                           Row{"lower", advert(50, "10.0.0.3"), "", State::fault},
                           Row{"higher", advert(150, "10.0.0.3"), "", State::fault},
                           Row{"TimerExpired", TimerExpired{}, "", State::fault},
                           Row{"EffectivePriorityChanged", EffectivePriorityChanged{90}, "", State::fault},
                           Row{"FaultRaised again", FaultRaised{"script chk failed", "chk"}, "", State::fault},
                           Row{"FaultCleared", FaultCleared{}, "FAULT>BACKUP", State::backup},
                           Row{"Shutdown", Shutdown{}, "FAULT>INIT", State::initialize},
                           Row{"ParametersChanged", ParametersChanged{with_priority(120)}, "", State::fault},
                       });
}

TEST_CASE("the owner of the addresses is Active from the start, and again as soon as a fault is over",
          "[vrrp][rfc9568-6.4.1-owner][rfc9568-5.2.4-priority]") {
  auto router = in_initialize(with_priority(255));
  CHECK(spell(router.handle(start, Startup{})) == "send 255; add; announce; INIT>MASTER");
  CHECK(router.next_deadline() == start + 1s);
  CHECK(spell(router.handle(start, FaultRaised{"interface eth0 is down"})) == "send 0; remove; MASTER>FAULT");
  CHECK(spell(router.handle(start + 1s, FaultCleared{})) == "send 255; add; announce; FAULT>MASTER");
}

TEST_CASE("the owner's priority does not change", "[vrrp][rfc9568-5.2.4-priority]") {
  auto router = in_initialize(with_priority(255));
  router.handle(start, Startup{});
  CHECK(router.handle(start, EffectivePriorityChanged{100}).empty());
  CHECK(router.effective_priority() == 255);
}

TEST_CASE("an owner that had to yield to another owner discards every lower priority, nopreempt or not", "[vrrp]") {
  auto told = with_priority(255);
  told.preempt = false;
  auto router = in_initialize(told);
  router.handle(start, Startup{});
  CHECK(spell(router.handle(start, advert(255, "10.0.0.3"))) == "remove; MASTER>BACKUP");
  router.handle(start + 1s, advert(254, "10.0.0.4"));
  CHECK(router.active_router() == ip("10.0.0.3"));
}

TEST_CASE("a priority outside 1..254 is brought inside", "[vrrp][rfc9568-5.2.4-priority]") {
  auto router = in_backup();
  router.handle(start, EffectivePriorityChanged{0});
  CHECK(router.effective_priority() == 1);
  router.handle(start, EffectivePriorityChanged{255});
  CHECK(router.effective_priority() == 254);
}

TEST_CASE("a router that was shut down starts anew", "[vrrp][rfc9568-6.4.2-shutdown]") {
  auto router = in_active();
  router.handle(start, Shutdown{});
  CHECK_FALSE(router.next_deadline());
  CHECK_FALSE(router.active_router());
  CHECK(spell(router.handle(start + 1s, Startup{})) == "remove; INIT>BACKUP");
  CHECK(router.next_deadline() == start + 1s + down_100);
}

TEST_CASE("the active router is the one followed, ourselves while Active, and nobody else", "[vrrp]") {
  auto router = in_backup();
  CHECK_FALSE(router.active_router());
  router.handle(start, advert(150, "10.0.0.3"));
  CHECK(router.active_router() == ip("10.0.0.3"));
  router.handle(start, advert(50, "10.0.0.4"));
  CHECK(router.active_router() == ip("10.0.0.3"));
  router.handle(start, advert(0, "10.0.0.3"));
  CHECK_FALSE(router.active_router());
  router.handle(start + 10s, TimerExpired{});
  CHECK(router.active_router() == ip("10.0.0.2"));
  router.handle(start + 10s, advert(200, "10.0.0.4"));
  CHECK(router.active_router() == ip("10.0.0.4"));
  router.handle(start + 10s, FaultRaised{"interface eth0 is down"});
  CHECK_FALSE(router.active_router());
}

}  // namespace vipkeeper::vrrp
