#include "engine/ipvs/planner.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/engine/ipvs/random_table.h"

namespace vipkeeper::ipvs {
namespace {

const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
const DestinationKey one{IpAddress::v4(0x0a000001), 8080}, two{IpAddress::v4(0x0a000002), 8080},
    three{IpAddress::v4(0x0a000003), 8080};

template <class Kind>
std::ptrdiff_t place(const std::vector<Operation>& plan) {
  return std::ranges::find_if(plan, [](const Operation& o) { return std::holds_alternative<Kind>(o); }) - plan.begin();
}

TEST_CASE("applying the plan to the actual table gives the desired one", "[ipvs][plan-law]") {
  for (unsigned seed = 1; seed <= 2000; ++seed) {
    test::RandomTables random(seed);
    const Table actual = random.table(), desired = random.table();
    CAPTURE(seed);
    REQUIRE(ipvs::apply(actual, plan(actual, desired)) == desired);
  }
}

TEST_CASE("the plan from a table to itself is empty", "[ipvs][plan-law]") {
  for (unsigned seed = 1; seed <= 500; ++seed) {
    const Table table = test::RandomTables(seed).table();
    CAPTURE(seed);
    REQUIRE(plan(table, table).empty());
  }
}

TEST_CASE("a service that stays is never without its real servers in between", "[ipvs][plan-law]") {
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    test::RandomTables random(seed);
    const Table actual = random.table(), desired = random.table();
    CAPTURE(seed);
    Table step = actual;
    for (const Operation& operation : plan(actual, desired)) {
      apply_to(step, operation);
      for (const auto& [key, entry] : actual) {
        const auto wanted = desired.find(key);
        if (wanted == desired.end() || entry.destinations.empty() || wanted->second.destinations.empty()) continue;
        REQUIRE(step.contains(key));
        REQUIRE_FALSE(step.at(key).destinations.empty());
      }
    }
  }
}

TEST_CASE("nothing that stays is deleted and made again", "[ipvs][plan-law]") {
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    test::RandomTables random(seed);
    const Table actual = random.table(), desired = random.table();
    CAPTURE(seed);
    for (const Operation& operation : plan(actual, desired)) {
      if (const auto* gone = std::get_if<DeleteService>(&operation)) REQUIRE_FALSE(desired.contains(gone->key));
      if (const auto* gone = std::get_if<DeleteDestination>(&operation))
        REQUIRE_FALSE(desired.at(gone->service).destinations.contains(gone->key));
    }
  }
}

TEST_CASE("one changed field of a real server is one command", "[ipvs][one-command]") {
  const ServiceEntry before{{}, {{one, {}}, {two, {}}}};
  const Destination changes[] = {{5, ForwardingMethod::masquerade, 0, 0},
                                 {1, ForwardingMethod::direct, 0, 0},
                                 {1, ForwardingMethod::masquerade, 100, 0},
                                 {1, ForwardingMethod::masquerade, 0, 50}};
  for (const Destination& changed : changes) {
    ServiceEntry after = before;
    after.destinations[two] = changed;
    CHECK(plan(web, &before, &after) == std::vector<Operation>{SetDestination{web, two, changed}});
  }
}

TEST_CASE("an added real server is one command, and so is a removed one", "[ipvs][one-command]") {
  const ServiceEntry small{{}, {{one, {}}}}, large{{}, {{one, {}}, {two, {}}}};
  CHECK(plan(web, &small, &large) == std::vector<Operation>{AddDestination{web, two, {}}});
  CHECK(plan(web, &large, &small) == std::vector<Operation>{DeleteDestination{web, two}});
}

TEST_CASE("services are deleted after everything else", "[ipvs][order]") {
  const ServiceKey old{Protocol::tcp, IpAddress::v4(1), 1, 0, Family::ipv4};
  const auto operations = plan(Table{{old, {{}, {{one, {}}}}}}, Table{{web, {{}, {{one, {}}}}}});
  REQUIRE(operations.size() == 3);
  CHECK(operations.back() == Operation(DeleteService{old}));
}

TEST_CASE("deletions go from the last to the first", "[ipvs][order][trash]") {
  const ServiceKey later{Protocol::udp, IpAddress::v4(1), 1, 0, Family::ipv4};
  CHECK(plan(Table{{web, {}}, {later, {}}}, Table{}) ==
        std::vector<Operation>{DeleteService{later}, DeleteService{web}});
  const ServiceEntry full{{}, {{one, {}}, {two, {}}, {three, {}}}}, rest{{}, {{two, {}}}};
  CHECK(plan(web, &full, &rest) == std::vector<Operation>{DeleteDestination{web, three}, DeleteDestination{web, one}});
}

TEST_CASE("a new mh service gets its real servers before its scheduler", "[ipvs][mh]") {
  const ServiceEntry desired{{"mh", 0, 0, 32}, {{one, {}}, {two, {}}, {three, {}}}};
  const auto operations = plan(web, nullptr, &desired);
  REQUIRE(operations.size() == 5);
  CHECK(operations.front() == Operation(AddService{web, {"none", 0, 0, 32}}));
  CHECK(operations.back() == Operation(SetService{web, {"mh", 0, 0, 32}}));
}

TEST_CASE("a new mh service with one real server needs no detour", "[ipvs][mh]") {
  const ServiceEntry desired{{"mh", 0, 0, 32}, {{one, {}}}};
  CHECK(plan(web, nullptr, &desired) ==
        std::vector<Operation>{AddService{web, {"mh", 0, 0, 32}}, AddDestination{web, one, {}}});
}

TEST_CASE("a service leaves mh before its real servers change, and comes to mh after", "[ipvs][mh]") {
  const ServiceEntry mh{{"mh", 0, 0, 32}, {{one, {}}, {two, {}}}}, wlc{{"wlc", 0, 0, 32}, {{one, {}}, {three, {}}}};
  const auto away = plan(web, &mh, &wlc);
  CHECK(place<SetService>(away) == 0);
  const auto back = plan(web, &wlc, &mh);
  CHECK(place<SetService>(back) == static_cast<std::ptrdiff_t>(back.size()) - 1);
}

TEST_CASE("a half made mh service is finished, scheduler last", "[ipvs][mh]") {
  const ServiceEntry half{{"none", 0, 0, 32}, {{one, {}}}}, desired{{"mh", 0, 0, 32}, {{one, {}}, {two, {}}}};
  CHECK(plan(web, &half, &desired) ==
        std::vector<Operation>{AddDestination{web, two, {}}, SetService{web, desired.service}});
}

TEST_CASE("a command that a kernel refuses changes nothing in the model", "[ipvs][model]") {
  const Table table{{web, {{}, {{one, {}}}}}};
  const ServiceKey other{Protocol::udp, IpAddress::v4(1), 1, 0, Family::ipv4};
  const Operation refused[] = {AddService{web, {"rr", 0, 0, 32}},
                               SetService{other, {}},
                               DeleteService{other},
                               AddDestination{other, one, {}},
                               AddDestination{web, one, {9, {}, 0, 0}},
                               SetDestination{web, two, {}},
                               SetDestination{other, one, {}},
                               DeleteDestination{web, two},
                               DeleteDestination{other, one}};
  for (const Operation& operation : refused) CHECK(ipvs::apply(table, {operation}) == table);
}

}  // namespace
}  // namespace vipkeeper::ipvs
