#include "engine/vrrp/tracking.h"

#include <array>
#include <catch2/catch.hpp>

namespace vipkeeper::vrrp {
namespace {

constexpr auto interface = TrackedKind::interface;
constexpr auto script = TrackedKind::script;

struct Speller {
  std::string operator()(const Startup&) const { return "Startup"; }
  std::string operator()(const EffectivePriorityChanged& e) const { return "priority " + std::to_string(e.priority); }
  std::string operator()(const FaultRaised& e) const { return "fault: " + e.reason; }
  std::string operator()(const FaultCleared&) const { return "cleared"; }
  std::string operator()(const auto&) const { return "unexpected"; }
};

// The events by name, with their numbers and reasons.
std::string spell(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text += (text.empty() ? "" : "; ") + std::visit(Speller{}, event);
  return text;
}

}  // namespace

TEST_CASE("weights: positive is added while ok, negative subtracted while failed, reverse swaps the two", "[vrrp]") {
  struct Row {
    int weight;
    bool reverse;
    int unknown, ok, failed;  // the effective priority, base 100
  };
  const std::array rows{
      Row{20, false, 100, 120, 100},   Row{-20, false, 100, 100, 80},  Row{20, true, 100, 100, 120},
      Row{-20, true, 100, 80, 100},    Row{253, false, 100, 254, 100}, Row{-253, false, 100, 100, 1},
      Row{1000, false, 100, 254, 100}, Row{-99, false, 100, 100, 1},   Row{-100, false, 100, 100, 1},
  };
  for (const Row& row : rows) {
    INFO("weight " << row.weight << (row.reverse ? " reverse" : ""));
    EffectivePriority tracked(100, {{script, "chk", row.weight, row.reverse}});
    CHECK(tracked.assess().priority == row.unknown);
    CHECK(tracked.assess().spoken);
    tracked.set(script, "chk", Health::ok);
    CHECK(tracked.assess().priority == row.ok);
    tracked.set(script, "chk", Health::failed);
    CHECK(tracked.assess().priority == row.failed);
    CHECK_FALSE(tracked.assess().fault);
  }
}

TEST_CASE("weights add up, and are cut to 1..254 only as a sum", "[vrrp]") {
  EffectivePriority tracked(200, {{script, "a", 100}, {script, "b", -60}, {interface, "eth1", -253}});
  tracked.set(script, "a", Health::ok);
  tracked.set(script, "b", Health::failed);
  CHECK(tracked.assess().priority == 240);
  tracked.set(interface, "eth1", Health::failed);
  CHECK(tracked.assess().priority == 1);
}

TEST_CASE("priority 255 is not changed by weights, but by faults it is stopped", "[vrrp][rfc9568-5.2.4-priority]") {
  EffectivePriority tracked(255, {{script, "a", -60}, {interface, "eth0", 0}});
  tracked.set(script, "a", Health::failed);
  tracked.set(interface, "eth0", Health::failed);
  CHECK(tracked.assess().priority == 255);
  CHECK(tracked.assess().fault == FaultRaised{"interface eth0 is down"});
}

TEST_CASE("an unweighted item that fails is a fault, and while unknown it keeps the router from starting", "[vrrp]") {
  EffectivePriority tracked(100, {{interface, "eth0"}, {script, "chk"}});
  const Assessment fresh{.spoken = false, .fault = {}, .priority = 100};
  CHECK(tracked.assess() == fresh);
  tracked.set(interface, "eth0", Health::ok);
  CHECK_FALSE(tracked.assess().spoken);
  tracked.set(script, "chk", Health::failed);
  CHECK(tracked.assess() == Assessment{true, FaultRaised{"script chk failed", "chk"}, 100});
  tracked.set(interface, "eth0", Health::failed);
  CHECK(tracked.assess().fault == FaultRaised{"interface eth0 is down"});
  tracked.set(interface, "eth0", Health::ok);
  tracked.set(script, "chk", Health::ok);
  CHECK(tracked.assess() == Assessment{true, {}, 100});
}

TEST_CASE("reverse turns an unweighted item round", "[vrrp]") {
  EffectivePriority tracked(100, {{script, "maintenance", 0, true}});
  tracked.set(script, "maintenance", Health::failed);
  CHECK_FALSE(tracked.assess().fault);
  tracked.set(script, "maintenance", Health::ok);
  CHECK(tracked.assess().fault == FaultRaised{"script maintenance succeeded", "maintenance"});
}

TEST_CASE("a script and an interface of the same name are two things", "[vrrp]") {
  EffectivePriority tracked(100, {{script, "eth0", 10}, {interface, "eth0", 1}});
  tracked.set(script, "eth0", Health::ok);
  CHECK(tracked.assess().priority == 110);
  tracked.set(interface, "eth1", Health::ok);
  CHECK(tracked.assess().priority == 110);
}

TEST_CASE("nothing tracked: the router may start", "[vrrp]") {
  CHECK(EffectivePriority(100, {}).assess() == Assessment{true, {}, 100});
}

TEST_CASE("a reload keeps what is known, and a new script does not stop a running router", "[vrrp]") {
  EffectivePriority tracked(100, {{script, "a", -10}, {script, "b"}});
  tracked.set(script, "a", Health::failed);
  tracked.set(script, "b", Health::ok);
  tracked.configure(150, {{script, "a", -20}, {script, "b"}, {script, "c"}});
  CHECK(tracked.assess() == Assessment{true, {}, 130});
  tracked.set(script, "c", Health::failed);
  CHECK(tracked.assess().fault == FaultRaised{"script c failed", "c"});
}

TEST_CASE("assessments become events: priority first, and nothing else before all have spoken", "[vrrp]") {
  const FaultRaised down{"interface eth0 is down"};
  const FaultRaised failed{"script chk failed", "chk"};
  struct Row {
    Assessment before, after;
    std::string_view events;
  };
  const std::array rows{
      Row{{false, {}, 100}, {false, {}, 100}, ""},
      Row{{false, {}, 100}, {false, down, 100}, ""},
      Row{{false, {}, 100}, {false, {}, 90}, "priority 90"},
      Row{{false, {}, 100}, {true, {}, 100}, "Startup"},
      Row{{false, {}, 100}, {true, {}, 90}, "priority 90; Startup"},
      Row{{false, {}, 100}, {true, down, 100}, "fault: interface eth0 is down"},
      Row{{false, down, 100}, {true, down, 100}, "fault: interface eth0 is down"},
      Row{{false, down, 100}, {true, {}, 100}, "Startup"},
      Row{{true, {}, 100}, {true, {}, 100}, ""},
      Row{{true, {}, 100}, {true, {}, 80}, "priority 80"},
      Row{{true, {}, 100}, {true, failed, 100}, "fault: script chk failed"},
      Row{{true, failed, 100}, {true, down, 100}, ""},
      Row{{true, down, 100}, {true, {}, 100}, "cleared"},
      Row{{true, down, 80}, {true, {}, 100}, "priority 100; cleared"},
  };
  for (const Row& row : rows) {
    INFO(row.events);
    CHECK(spell(changes(row.before, row.after)) == row.events);
  }
}

TEST_CASE("a script's verdict counts results in a row", "[vrrp]") {
  struct Row {
    unsigned rise, fall;
    bool init_fail;
    std::string_view results;   // + success, - failure
    std::string_view verdicts;  // ? unknown, + ok, - failed; after each result
  };
  const std::array rows{
      Row{1, 1, false, "+-+", "+-+"},
      Row{3, 2, false, "+", "+"},
      Row{3, 2, false, "-", "-"},
      Row{2, 3, false, "+--+---", "++++++-"},
      Row{2, 3, false, "+---+-++", "+++----+"},
      Row{3, 1, true, "++-+++", "-----+"},
      Row{1, 1, true, "+", "+"},
      Row{0, 0, false, "+-", "+-"},
  };
  for (const Row& row : rows) {
    INFO("rise " << row.rise << " fall " << row.fall << (row.init_fail ? " init_fail " : " ") << row.results);
    ScriptVerdict verdict(row.rise, row.fall, row.init_fail);
    CHECK(verdict.health() == (row.init_fail ? Health::failed : Health::unknown));
    std::string verdicts;
    for (const char result : row.results) {
      const Health before = verdict.health();
      const bool changed = verdict.record(result == '+');
      CHECK(changed == (verdict.health() != before));
      verdicts += verdict.health() == Health::ok ? '+' : verdict.health() == Health::failed ? '-' : '?';
    }
    CHECK(verdicts == row.verdicts);
  }
}

TEST_CASE("a reload of a script keeps its verdict and counts anew", "[vrrp]") {
  ScriptVerdict verdict(1, 3);
  verdict.record(true);
  verdict.record(false);
  verdict.record(false);
  verdict.configure(2, 2);
  CHECK(verdict.health() == Health::ok);
  CHECK_FALSE(verdict.record(false));
  CHECK(verdict.record(false));
  CHECK_FALSE(verdict.record(true));
  CHECK(verdict.record(true));
}

}  // namespace vipkeeper::vrrp
