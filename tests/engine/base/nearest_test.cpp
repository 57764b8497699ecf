#include "engine/base/nearest.h"

#include <catch2/catch.hpp>
#include <string>

namespace vipkeeper {
namespace {

TEST_CASE("the nearest word is found by typing slips, or none", "[base]") {
  constexpr std::string_view words[] = {"priority", "state", "nopreempt", "virtual_router_id"};
  CHECK(nearest("prioritiy", words) == "priority");
  CHECK(nearest("PRIORITY", words) == "priority");
  CHECK(nearest("sate", words) == "state");
  CHECK(nearest("virtual_route_id", words) == "virtual_router_id");
  CHECK(nearest("prio", words) == "priority");
  CHECK(nearest("x", words).empty());
  CHECK(nearest("banana", words).empty());
  CHECK(nearest(std::string(100000, 'a'), words).empty());
}

}  // namespace
}  // namespace vipkeeper
