#include "engine/run/thread/heartbeat.h"

#include <catch2/catch.hpp>

using namespace vipkeeper;
using namespace std::chrono_literals;

TEST_CASE("a loop that does not turn owes its answer, ten seconds at most", "[run][health]") {
  auto loop = net::EventLoop::create();
  REQUIRE(loop);
  run::Heartbeat heartbeat(**loop);
  const TimePoint start = Clock::now();
  CHECK(heartbeat.answers(start));
  CHECK(heartbeat.answers(start + 9999ms));
  CHECK_FALSE(heartbeat.answers(start + 10s));
  CHECK_FALSE(heartbeat.answers(start + 1h));
  // It was only slow.
  (*loop)->turn();
  CHECK(heartbeat.answers(start + 2h));
}

TEST_CASE("a loop that nobody asked for a day is not late", "[run][health]") {
  auto loop = net::EventLoop::create();
  REQUIRE(loop);
  run::Heartbeat heartbeat(**loop);
  const TimePoint start = Clock::now();
  CHECK(heartbeat.answers(start));
  (*loop)->turn();
  CHECK(heartbeat.answers(start + 24h));
  CHECK(heartbeat.answers(start + 24h + 9s));
}
