#include "engine/router/line_budget.h"

#include <catch2/catch.hpp>
#include <string>

using namespace vipkeeper;
using namespace vipkeeper::router;
using namespace std::chrono_literals;

namespace {
const TimePoint start{1000s};
}

TEST_CASE("one line of a class a minute, whoever its sender is, and a count of the rest", "[router][log][bounds]") {
  LineBudget budget;
  CHECK(budget.admit(start, "(vips) discarded an advertisement from 10.0.0.9: wrong ttl"));
  for (int i = 0; i < 500; ++i) {
    CHECK_FALSE(
        budget.admit(start + 1s, "(vips) discarded an advertisement from 10.0.0." + std::to_string(i) + ": wrong ttl"));
  }
  const auto next = budget.admit(start + 61s, "(vips) discarded an advertisement from 10.0.0.7: wrong ttl");
  REQUIRE(next);
  CHECK(*next == "(vips) discarded an advertisement from 10.0.0.7: wrong ttl (500 more since the last such line)");
}

TEST_CASE("all classes together are under thirty lines a minute", "[router][log][bounds]") {
  LineBudget budget;
  int lines = 0;
  for (int i = 0; i < 60'000; ++i) {
    const std::string kind(1 + static_cast<std::size_t>(i % 500), 'x');
    if (budget.admit(start + std::chrono::milliseconds(i), kind)) ++lines;
  }
  CHECK(lines < 30);
  CHECK(lines > 10);
  const auto next = budget.admit(start + 10min, "another");
  REQUIRE(next);
  CHECK(next->find("other lines were held back") != std::string::npos);
}
