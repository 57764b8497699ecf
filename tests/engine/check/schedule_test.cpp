#include "engine/check/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <numeric>
#include <vector>

namespace vipkeeper::check {
namespace {

using namespace std::chrono_literals;
using Kind = Outcome::Kind;

const TimePoint start{1000h};
const Outcome connected{Kind::connected, 0, 400us}, refused{Kind::refused, ECONNREFUSED, 100us},
    silent{Kind::timed_out, 0, 5s}, local{Kind::local, EMFILE, 0s};

Target target(std::uint32_t number = 1) { return {IpAddress::v4(0x0a000000 + number), 8080, 5s, 10s, 1s, 2}; }

// A schedule with one target, probed by hand.
struct Bench {
  Schedule schedule{7};
  Target checked = target();
  TimePoint now = start;

  explicit Bench(bool urgent = true) { schedule.acquire(checked, 1, urgent, now); }

  // Waits for the next probe and ends it at once; what changed.
  std::optional<Change> probe(const Outcome& outcome) {
    now = std::max(now, schedule.next_deadline().value());
    const auto probes = schedule.take_due(now, 10);
    REQUIRE(probes.size() == 1);
    return schedule.handle(now, probes[0].id, outcome);
  }
  Duration pause() { return schedule.next_deadline().value() - now; }
};

TEST_CASE("the first probe decides at once, whatever the retries", "[check][verdict]") {
  struct Row {
    Outcome outcome;
    Health health;
  };
  for (const Row& row : {Row{connected, Health::alive}, Row{refused, Health::dead}, Row{silent, Health::dead}}) {
    Bench bench;
    const auto change = bench.probe(row.outcome);
    REQUIRE(change);
    CHECK(change->from == Health::unknown);
    CHECK(change->to == row.health);
    CHECK(bench.schedule.health(bench.checked) == row.health);
  }
}

TEST_CASE("a living target is dead after the first failure and all retries, in their pace", "[check][verdict]") {
  Bench bench;
  bench.probe(connected);
  CHECK_FALSE(bench.probe(refused));
  CHECK(bench.pause() == 1s);
  CHECK_FALSE(bench.probe(silent));
  CHECK(bench.pause() == 1s);
  const auto change = bench.probe(refused);
  REQUIRE(change);
  CHECK(change->to == Health::dead);
}

TEST_CASE("one success in between starts the retries anew", "[check][verdict]") {
  Bench bench;
  bench.probe(connected);
  bench.probe(refused);
  bench.probe(refused);
  CHECK_FALSE(bench.probe(connected));
  CHECK_FALSE(bench.probe(refused));
  CHECK_FALSE(bench.probe(refused));
  CHECK(bench.probe(refused));
}

TEST_CASE("one success makes a dead target alive", "[check][verdict]") {
  Bench bench;
  bench.probe(refused);
  CHECK_FALSE(bench.probe(refused));
  const auto change = bench.probe(connected);
  REQUIRE(change);
  CHECK(change->from == Health::dead);
  CHECK(change->to == Health::alive);
}

TEST_CASE("a dead target is probed once each interval, without retries", "[check][verdict]") {
  Bench bench;
  bench.probe(refused);
  bench.probe(refused);
  for (int i = 0; i < 5; ++i) {
    CHECK(bench.pause() == 10s);
    bench.probe(refused);
  }
}

TEST_CASE("a probe that could not be started from here says nothing about the target", "[check][verdict]") {
  for (const Outcome& before : {connected, refused}) {
    Bench bench;
    bench.probe(before);
    const Health health = bench.schedule.health(bench.checked);
    for (int i = 0; i < 10; ++i) CHECK_FALSE(bench.probe(local));
    CHECK(bench.schedule.health(bench.checked) == health);
    CHECK(bench.pause() == 1s);
  }
  Bench fresh;
  CHECK_FALSE(fresh.probe(local));
  CHECK(fresh.schedule.health(fresh.checked) == Health::unknown);
}

TEST_CASE("the result is told in words", "[check][text]") {
  Bench bench;
  CHECK(bench.schedule.text(bench.checked) == "tcp: not checked yet");
  CHECK(bench.probe(connected)->text == "tcp: connected in 0.4 ms");
  bench.probe(refused);
  CHECK(bench.schedule.text(bench.checked) == "tcp: Connection refused (try 1 of 3 failed)");
  bench.probe(refused);
  CHECK(bench.probe(silent)->text == "tcp: no answer in 5 s");
  bench.probe(local);
  CHECK(bench.schedule.text(bench.checked) == "tcp: could not be probed from here: Too many open files");
}

TEST_CASE("urgent targets are probed at once", "[check][schedule]") {
  Bench bench(true);
  CHECK(bench.pause() <= 0s);
}

TEST_CASE("first probes are spread over two seconds, later ones over the interval", "[check][schedule]") {
  constexpr std::uint32_t count = 1000;
  Schedule schedule(3);
  for (std::uint32_t i = 0; i < count; ++i) schedule.acquire(target(i), i, false, start);
  std::vector<std::size_t> in_tenth;
  for (TimePoint now = start + 100ms; now <= start + 60s; now += 100ms) {
    const auto probes = schedule.take_due(now, count);
    for (const Probe& probe : probes) schedule.handle(now, probe.id, connected);
    in_tenth.push_back(probes.size());
  }
  for (std::size_t i = 0; i < 20; ++i) CHECK(in_tenth[i] < 2 * count / 20);
  CHECK(std::accumulate(in_tenth.begin(), in_tenth.begin() + 20, 0U) >= count);
  // From the third round on each target has its place in the interval of ten seconds.
  for (std::size_t i = 200; i < in_tenth.size(); ++i) {
    CHECK(in_tenth[i] > 0);
    CHECK(in_tenth[i] < 3 * count / 100);
  }
}

TEST_CASE("a short interval is not stretched by the spreading of first probes", "[check][schedule]") {
  Schedule schedule(3);
  for (std::uint32_t i = 0; i < 100; ++i) {
    Target quick = target(i);
    quick.interval = 100ms;
    schedule.acquire(quick, i, false, start);
  }
  CHECK(schedule.take_due(start + 100ms, 1000).size() == 100);
}

TEST_CASE("one check serves all users and tells every one of them", "[check][sharing]") {
  Bench bench;
  bench.schedule.acquire(bench.checked, 2, true, bench.now);
  bench.schedule.acquire(bench.checked, 3, true, bench.now);
  bench.schedule.acquire(bench.checked, 3, true, bench.now);
  CHECK(bench.schedule.size() == 1);
  const auto change = bench.probe(refused);
  REQUIRE(change);
  CHECK(change->users == std::vector<User>{1, 2, 3});
  bench.schedule.release(bench.checked, 2);
  CHECK(bench.probe(connected)->users == std::vector<User>{1, 3});
}

TEST_CASE("a check ends with its last user, and its probe under way is forgotten", "[check][sharing]") {
  Bench bench;
  bench.schedule.acquire(bench.checked, 2, true, bench.now);
  const auto probes = bench.schedule.take_due(bench.now, 10);
  REQUIRE(probes.size() == 1);
  bench.schedule.release(bench.checked, 1);
  CHECK(bench.schedule.size() == 1);
  bench.schedule.release(bench.checked, 2);
  CHECK(bench.schedule.size() == 0);
  CHECK_FALSE(bench.schedule.handle(bench.now, probes[0].id, refused));
  CHECK_FALSE(bench.schedule.next_deadline());
  bench.schedule.release(bench.checked, 2);
  CHECK(bench.schedule.size() == 0);
}

TEST_CASE("a late result is not taken for the one of a new check in the same place", "[check][sharing]") {
  Bench bench;
  const auto old = bench.schedule.take_due(bench.now, 10);
  bench.schedule.release(bench.checked, 1);
  bench.schedule.acquire(target(2), 5, true, bench.now);
  CHECK_FALSE(bench.schedule.handle(bench.now, old[0].id, refused));
  CHECK(bench.schedule.health(target(2)) == Health::unknown);
  CHECK(bench.schedule.take_due(bench.now, 10).size() == 1);
}

TEST_CASE("reloads more often than the interval do not starve a check", "[check][reload]") {
  Schedule schedule(11);
  schedule.acquire(target(), 1, false, start);
  unsigned probes = 0;
  for (TimePoint now = start; now < start + 60s; now += 500ms) {
    // The new configuration names the check before the old one lets go of it.
    schedule.acquire(target(), 2, false, now);
    schedule.release(target(), 1);
    schedule.acquire(target(), 1, false, now);
    schedule.release(target(), 2);
    for (const Probe& probe : schedule.take_due(now, 10)) {
      schedule.handle(now, probe.id, connected);
      ++probes;
    }
  }
  CHECK(probes >= 6);
}

TEST_CASE("other parameters for the same endpoint take its result over", "[check][reload]") {
  Bench bench;
  bench.probe(refused);
  Target quicker = bench.checked;
  quicker.interval = 2s;
  bench.schedule.acquire(quicker, 1, false, bench.now);
  bench.schedule.release(bench.checked, 1);
  CHECK(bench.schedule.health(quicker) == Health::dead);
  CHECK(bench.schedule.text(quicker) == "tcp: Connection refused");
  Target other = bench.checked;
  other.port = 8081;
  bench.schedule.acquire(other, 1, false, bench.now);
  CHECK(bench.schedule.health(other) == Health::unknown);
}

TEST_CASE("no more probes are handed out than asked for, until all are", "[check][schedule]") {
  Schedule schedule(5);
  for (std::uint32_t i = 0; i < 50; ++i) schedule.acquire(target(i), i, false, start);
  std::size_t total = 0;
  while (true) {
    const auto probes = schedule.take_due(start + 2s, 7);
    CHECK(probes.size() <= 7);
    if (probes.empty()) break;
    total += probes.size();
  }
  CHECK(total == 50);
  CHECK_FALSE(schedule.next_deadline());
}

}  // namespace
}  // namespace vipkeeper::check
