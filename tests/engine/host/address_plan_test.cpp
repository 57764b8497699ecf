#include "engine/host/address_plan.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/engine/host/fake_host.h"

using namespace vipkeeper;
using namespace vipkeeper::host;
using namespace vipkeeper::host::test;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

// A plan, its mirror and a host, run as the loop does.
struct Planned {
  FakeHost host;
  Mirror mirror{NetworkState()};
  AddressPlan plan;
  TimePoint now{1000s};
  Texts announced;
  std::vector<OwnedAddress> taken;

  explicit Planned(std::set<OwnedAddress> recorded = {}) : plan(recorded) {
    host.record = std::move(recorded);
    host.set_link(2, "eth0");
    follow();
  }
  void follow() {
    const auto said = host.changes();
    NetworkChanges changes;
    if (said) {
      changes = mirror.apply(*said);
    } else {
      changes = *mirror.finish_reading(mirror.begin_reading(), host.state());
    }
    for (const auto& one : plan.network_changed(changes, mirror.state())) taken.push_back(one);
    if (!said) plan.network_read();
  }
  void announce() {
    for (const auto& [index, addresses] : plan.announcements().next(now, 1000)) {
      for (const auto& one : addresses) announced.push_back(one.to_string());
    }
  }
  // One piece, its answers, and what the kernel says of it.
  bool step(std::size_t budget = 100) {
    const auto piece = plan.next_piece(now, mirror.state(), budget);
    if (piece.empty()) return plan.has_work();
    const auto answers = host.work(piece);
    if (plan.answered(now, answers, mirror.state())) {
      const auto changes = mirror.finish_reading(mirror.begin_reading(), host.state());
      plan.network_changed(*changes, mirror.state());
      plan.network_read();
    }
    follow();
    announce();
    return true;
  }
  void settle(std::size_t budget = 100) {
    for (int i = 0; i < 1000 && step(budget); ++i) {
    }
    announce();
  }
};

}  // namespace

TEST_CASE("a router that holds has its addresses added once and announced as often as asked", "[host][addresses]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32"), address("10.0.0.2/24")}, one.mirror.state());
  one.plan.allow_removal();
  one.settle();
  CHECK(one.host.operations.empty());
  one.plan.hold(1, true, 3);
  one.settle();
  CHECK(one.host.operations == Texts{"+10.0.0.1/32 eth0", "+10.0.0.2/24 eth0"});
  CHECK(std::ranges::count(one.announced, "10.0.0.1") == 3);
  CHECK(std::ranges::count(one.announced, "10.0.0.2") == 3);
  CHECK(one.host.record.size() == 2);
  one.plan.hold(1, false, 0);
  one.settle();
  CHECK(one.host.operations.size() == 4);
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
  CHECK(one.host.record.empty());
  CHECK(one.plan.settled());
}

TEST_CASE("the first address is announced before the last is added", "[host][addresses]") {
  Planned one;
  std::vector<HostAddress> many;
  for (int i = 1; i <= 50; ++i) many.push_back(address("10.0.0." + std::to_string(i) + "/32"));
  one.plan.configure(1, many, one.mirror.state());
  one.plan.hold(1, true, 1);
  one.step(10);
  CHECK(one.host.operations.size() == 10);
  CHECK(one.announced.size() == 10);
}

TEST_CASE("however many addresses a reload leaves as they are, a turn looks at some of them",
          "[host][addresses][bounds]") {
  Planned one;
  std::vector<HostAddress> many;
  for (int i = 0; i < 5000; ++i) {
    many.push_back(address("10." + std::to_string(i / 200) + "." + std::to_string(i % 200) + ".1/32"));
  }
  one.plan.configure(1, many, one.mirror.state());
  one.plan.hold(1, true, 1);
  one.settle();
  CHECK(one.host.record.size() == 5000);
  one.plan.configure(1, many, one.mirror.state());
  int turns = 0;
  for (; one.plan.has_work(); ++turns) CHECK(one.plan.next_piece(one.now, one.mirror.state(), 64).empty());
  CHECK(turns > 5);
  CHECK(one.plan.settled());
}

TEST_CASE("what the kernel refuses is tried again, later each time, and said meanwhile", "[host][addresses][faults]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32"), address("10.0.0.2/32")}, one.mirror.state());
  one.plan.hold(1, true, 1);
  bool refuses = true;
  one.host.refuse = [&](const Operation& operation) -> std::optional<Answer> {
    const auto* add = std::get_if<AddAddress>(&operation);
    if (!refuses || add == nullptr || add->address.prefix != prefix("10.0.0.1/32")) return std::nullopt;
    return Answer{Outcome::refused, "cannot add 10.0.0.1/32 to eth0: No buffer space available"};
  };
  one.settle();
  CHECK(one.host.has(2, "10.0.0.2/32"));
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
  REQUIRE(one.plan.problems().size() == 1);
  CHECK(one.plan.problems().front().find("No buffer space") != std::string::npos);
  CHECK(one.host.record == std::set<OwnedAddress>{{prefix("10.0.0.2/32"), "eth0"}});
  CHECK(one.plan.summary(1, one.mirror.state()).present);
  CHECK_FALSE(one.plan.summary(1, one.mirror.state()).error.empty());
  std::size_t tries = 0;
  Duration last{0};
  for (TimePoint before = one.now; tries < 12; ++tries) {
    REQUIRE(one.plan.next_retry());
    one.now = *one.plan.next_retry();
    CHECK(one.now - before >= last);
    last = std::min<Duration>(one.now - before, 20s);
    before = one.now;
    one.settle();
  }
  CHECK(one.now - TimePoint(1000s) > 60s);
  refuses = false;
  one.now = *one.plan.next_retry();
  one.settle();
  CHECK(one.host.has(2, "10.0.0.1/32"));
  CHECK(one.plan.problems().empty());
}

TEST_CASE("a removal that is refused is tried again: a Backup Router does not keep an address",
          "[host][addresses][faults]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.allow_removal();
  one.plan.hold(1, true, 1);
  one.settle();
  int refusals = 3;
  one.host.refuse = [&](const Operation&) -> std::optional<Answer> {
    if (refusals-- <= 0) return std::nullopt;
    return Answer{Outcome::refused, "cannot remove 10.0.0.1/32 from eth0: Cannot allocate memory"};
  };
  one.plan.hold(1, false, 0);
  one.settle();
  CHECK(one.host.has(2, "10.0.0.1/32"));
  CHECK(one.host.record.size() == 1);
  while (one.plan.next_retry()) {
    one.now = *one.plan.next_retry();
    one.settle();
  }
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
  CHECK(one.host.record.empty());
}

TEST_CASE("nothing waits for another try that nobody needs any more", "[host][addresses][faults]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.allow_removal();
  one.plan.hold(1, true, 1);
  one.host.refuse = [](const Operation&) { return std::optional(Answer{Outcome::refused, "no memory"}); };
  for (int i = 0; i < 12; ++i) {
    one.settle();
    one.now = one.plan.next_retry().value_or(one.now);
  }
  CHECK_FALSE(one.plan.settled());
  one.plan.hold(1, false, 0);
  one.settle();
  CHECK(one.plan.settled());
}

TEST_CASE("after no answer at all what is there is looked at, not guessed", "[host][addresses][faults]") {
  const bool done = GENERATE(true, false);
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.allow_removal();
  one.plan.hold(1, true, 1);
  bool mute = true;
  one.host.refuse = [&](const Operation&) -> std::optional<Answer> {
    if (!mute) return std::nullopt;
    return Answer{done ? Outcome::unknown : Outcome::refused, "the kernel does not answer"};
  };
  one.step();
  mute = false;
  while (one.plan.next_retry()) {
    one.now = *one.plan.next_retry();
    one.settle();
  }
  CHECK(one.host.has(2, "10.0.0.1/32"));
  one.plan.hold(1, false, 0);
  one.settle();
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
}

TEST_CASE("a held address that somebody takes away is put back and announced, and told", "[host][addresses]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.hold(1, true, 2);
  one.settle();
  CHECK(one.taken.empty());
  one.announced.clear();
  one.host.take(2, "10.0.0.1/32");
  one.follow();
  CHECK(one.taken == std::vector<OwnedAddress>{{prefix("10.0.0.1/32"), "eth0"}});
  one.settle();
  CHECK(one.host.has(2, "10.0.0.1/32"));
  CHECK(one.announced.size() == 2);
}

TEST_CASE("an address that two routers of a host trade never leaves", "[host][addresses]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.configure(2, {address("10.0.0.2/32")}, one.mirror.state());
  one.plan.allow_removal();
  one.plan.hold(1, true, 1);
  one.plan.hold(2, true, 1);
  one.settle();
  one.host.operations.clear();
  SECTION("the one that gets it is told first") {
    one.plan.configure(2, {address("10.0.0.1/32"), address("10.0.0.2/32")}, one.mirror.state());
    one.plan.configure(1, {address("10.0.0.3/32")}, one.mirror.state());
  }
  SECTION("the one that has it is told first") {
    one.plan.configure(1, {address("10.0.0.3/32")}, one.mirror.state());
    one.plan.configure(2, {address("10.0.0.1/32"), address("10.0.0.2/32")}, one.mirror.state());
  }
  SECTION("the one that has it is no more") {
    one.plan.configure(2, {address("10.0.0.1/32"), address("10.0.0.2/32")}, one.mirror.state());
    one.plan.forget(1, one.mirror.state());
  }
  one.settle();
  CHECK(one.host.has(2, "10.0.0.1/32"));
  CHECK(std::ranges::count(one.host.operations, "-10.0.0.1/32 eth0") == 0);
  CHECK(one.taken.empty());
}

TEST_CASE("what was there before is announced while held, never removed, and named while it is not held",
          "[host][addresses][ours]") {
  Planned one;
  one.host.put(2, "10.0.0.1/24");
  one.follow();
  one.plan.configure(1, {address("10.0.0.1/24")}, one.mirror.state());
  one.plan.allow_removal();
  one.settle();
  REQUIRE(one.plan.problems().size() == 1);
  CHECK(one.plan.problems().front().find("eth0 has 10.0.0.1/24") != std::string::npos);
  one.plan.hold(1, true, 1);
  one.settle();
  CHECK(one.announced == Texts{"10.0.0.1"});
  CHECK(one.plan.problems().empty());
  CHECK(one.host.record.empty());
  one.plan.hold(1, false, 0);
  one.settle();
  one.plan.forget(1, one.mirror.state());
  one.settle();
  CHECK(one.host.has(2, "10.0.0.1/24"));
  CHECK(one.host.operations.empty());
  CHECK(one.plan.problems().empty());
}

TEST_CASE("what the record or the kernel's mark says is ours goes when nobody wishes for it",
          "[host][addresses][ours]") {
  Planned one({{prefix("10.0.0.1/32"), "eth0"}, {prefix("10.0.0.9/32"), "gone0"}});
  one.host.put(2, "10.0.0.1/32");
  one.host.put(2, "10.0.0.2/32", address_protocol);
  one.host.put(2, "10.0.0.3/32", address_protocol);  // another instance's: no router of ours has it
  one.follow();
  one.plan.configure(1, {address("10.0.0.2/32")}, one.mirror.state());
  one.settle();
  CHECK(one.host.operations.empty());  // nothing is known yet
  one.plan.allow_removal();
  one.settle();
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
  CHECK_FALSE(one.host.has(2, "10.0.0.2/32"));
  CHECK(one.host.has(2, "10.0.0.3/32"));
  CHECK(one.host.record.empty());
}

TEST_CASE("an address left by an earlier run that is wished for again stays where it is", "[host][addresses][ours]") {
  Planned one({{prefix("10.0.0.1/32"), "eth0"}});
  one.host.put(2, "10.0.0.1/32");
  one.follow();
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.hold(1, true, 1);
  one.plan.allow_removal();
  one.settle();
  CHECK(one.host.operations.empty());
  CHECK(one.announced == Texts{"10.0.0.1"});
  one.plan.hold(1, false, 0);
  one.settle();
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
}

TEST_CASE("an interface that comes, goes and comes again under another index has its addresses again",
          "[host][addresses]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32", "eth7")}, one.mirror.state());
  one.plan.hold(1, true, 1);
  one.settle();
  CHECK(one.host.operations.empty());
  for (const int index : {7, 8}) {
    one.host.set_link(index, "eth7");
    one.follow();
    one.settle();
    CHECK(one.host.has(index, "10.0.0.1/32"));
    one.host.remove_link(index);
    one.follow();
    one.settle();
  }
  CHECK(one.taken.empty());
}

TEST_CASE("an interface that is renamed does not keep an address that nobody holds", "[host][addresses][ours]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.allow_removal();
  one.plan.hold(1, true, 1);
  one.settle();
  one.host.put(2, "10.0.0.7/24");
  one.host.set_link(2, "lan0");
  one.follow();
  one.plan.hold(1, false, 0);  // its interface does not exist any more
  one.settle();
  CHECK_FALSE(one.host.has(2, "10.0.0.1/32"));
  CHECK(one.host.has(2, "10.0.0.7/24"));
  CHECK(one.host.record.empty());
}

TEST_CASE("a MAC that changes and a carrier that returns are announced", "[host][addresses][announce]") {
  Planned one;
  one.plan.configure(1, {address("10.0.0.1/32")}, one.mirror.state());
  one.plan.hold(1, true, 2);
  one.settle();
  one.announced.clear();
  one.host.set_link(2, "eth0", true, std::byte{9});
  one.follow();
  one.announce();
  CHECK(one.announced.size() == 2);
  one.host.set_link(2, "eth0", false, std::byte{9});
  one.follow();
  one.announce();
  CHECK(one.announced.size() == 2);
  one.host.set_link(2, "eth0", true, std::byte{9});
  one.follow();
  one.announce();
  CHECK(one.announced.size() == 4);
}

TEST_CASE("an address whose label changes is put there anew", "[host][addresses]") {
  Planned one;
  HostAddress labelled = address("10.0.0.1/32");
  one.plan.configure(1, {labelled}, one.mirror.state());
  one.plan.allow_removal();
  one.plan.hold(1, true, 1);
  one.settle();
  labelled.label = "eth0:1";
  one.plan.configure(1, {labelled}, one.mirror.state());
  one.settle();
  CHECK(one.host.operations == Texts{"+10.0.0.1/32 eth0", "-10.0.0.1/32 eth0", "+10.0.0.1/32 eth0"});
  CHECK(one.taken.empty());
}

TEST_CASE("whatever fails, at rest the host has what the routers that hold wish for, and all that is not ours",
          "[host][addresses][law]") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto draw = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Planned one;
    one.host.keeps_protocol = draw(2) == 0;
    std::set<std::string> foreign;
    for (int i = 0; i < 3; ++i) {
      const std::string text = "10.0.0." + std::to_string(draw(12)) + "/32";
      foreign.insert(text);
      one.host.put(2, text);
    }
    one.follow();
    one.plan.allow_removal();
    double failing = 0;
    one.host.refuse = [&](const Operation&) -> std::optional<Answer> {
      if (draw(100) >= failing * 100) return std::nullopt;
      return Answer{draw(2) == 0 ? Outcome::refused : Outcome::unknown, "refused"};
    };
    std::map<AddressPlan::Router, std::pair<std::set<std::string>, bool>> routers;
    for (int i = 0; i < 120; ++i) {
      const auto router = static_cast<AddressPlan::Router>(1 + draw(3));
      switch (draw(9)) {
        case 0: {
          std::set<std::string> texts;
          std::vector<HostAddress> addresses;
          for (int n = draw(6); n > 0; --n) texts.insert("10.0.0." + std::to_string(draw(12)) + "/32");
          for (const auto& text : texts) addresses.push_back(address(text));
          one.plan.configure(router, addresses, one.mirror.state());
          routers[router].first = texts;
          break;
        }
        case 1:
        case 2:
          if (!routers.contains(router)) break;
          routers[router].second = draw(2) == 0;
          one.plan.hold(router, routers[router].second, 1);
          break;
        case 3:
          one.plan.forget(router, one.mirror.state());
          routers.erase(router);
          break;
        case 4: {
          const std::string text = "10.0.0." + std::to_string(draw(12)) + "/32";
          if (!foreign.contains(text)) one.host.take(2, text);
          break;
        }
        case 5:
          one.host.queue_limit = draw(2) == 0 ? 2 : 1'000'000;
          break;
        case 6:
          failing = draw(3) * 0.4;
          break;
        case 7:
          one.follow();
          break;
        default:
          one.now += std::chrono::milliseconds(draw(2000));
          one.step(static_cast<std::size_t>(1 + draw(4)));
      }
    }
    failing = 0;
    one.host.queue_limit = 1'000'000;
    one.follow();
    for (int i = 0; i < 200; ++i) {
      one.settle();
      if (!one.plan.next_retry()) break;
      one.now = *one.plan.next_retry();
    }
    std::set<std::string> wanted = foreign;
    for (const auto& [router, wish] : routers) {
      if (wish.second) wanted.insert(wish.first.begin(), wish.first.end());
    }
    std::set<std::string> there;
    for (const auto& [key, entry] : one.host.state().addresses()) there.insert(key.prefix.to_string());
    CHECK(there == wanted);
    CHECK(one.host.foreign_removed.empty());
    CHECK(one.plan.settled());
    std::set<OwnedAddress> owned;
    for (const auto& text : wanted) {
      if (!foreign.contains(text)) owned.insert({prefix(text), "eth0"});
    }
    REQUIRE(one.host.record == owned);
  }
}
