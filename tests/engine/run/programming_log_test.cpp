#include "engine/run/services/programming_log.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

namespace vipkeeper::run {
namespace {

using namespace std::chrono_literals;

const TimePoint start{1000h};

struct Bench {
  std::vector<std::string> lines;
  ProgrammingLog log{[this](LogLevel, const std::string& line) { lines.push_back(line); }, "dry run: "};
};

TEST_CASE("lines pass with their prefix, and nothing is left to tell", "[programming][log]") {
  Bench bench;
  bench.log.write(LogLevel::info, "hello", start);
  CHECK(bench.lines == std::vector<std::string>{"dry run: hello"});
  CHECK_FALSE(bench.log.deadline());
}

TEST_CASE("of a burst fifty lines pass, and a second later the number of the others, once", "[programming][log]") {
  Bench bench;
  for (int i = 0; i < 120; ++i) bench.log.write(LogLevel::info, "line", start);
  CHECK(bench.lines.size() == 50);
  REQUIRE(bench.log.deadline() == start + 1s);
  bench.log.turn(start + 999ms);
  CHECK(bench.lines.size() == 50);
  bench.log.turn(start + 1s);
  REQUIRE(bench.lines.size() == 51);
  CHECK_THAT(bench.lines.back(), Catch::Contains("70 more lines"));
  // A deadline that stayed in the past would keep the thread awake for ever.
  CHECK_FALSE(bench.log.deadline());
  bench.log.turn(start + 5s);
  CHECK(bench.lines.size() == 51);
}

TEST_CASE("warnings and errors pass in any burst", "[programming][log]") {
  Bench bench;
  for (int i = 0; i < 100; ++i) bench.log.write(LogLevel::info, "line", start);
  bench.log.write(LogLevel::warning, "careful", start);
  bench.log.write(LogLevel::error, "broken", start);
  CHECK(bench.lines.size() == 52);
}

TEST_CASE("each second has its fifty lines", "[programming][log]") {
  Bench bench;
  for (int second = 0; second < 3; ++second)
    for (int i = 0; i < 60; ++i) bench.log.write(LogLevel::info, "line", start + second * 1s);
  bench.log.flush();
  CHECK(bench.lines.size() == 3 * 50 + 3);
}

}  // namespace
}  // namespace vipkeeper::run
