// The laws of the planner against a real kernel's table. Run it as root in a guest or a network namespace of its own
// with ip_vs and its schedulers loaded: it empties and fills the table. Without IPVS every test fails.

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>

#include "engine/ipvs/planner.h"
#include "engine/net/netlink/ipvs_netlink.h"
#include "tests/engine/ipvs/random_table.h"

namespace vipkeeper::net {
namespace {

using namespace ipvs;
using Kind = OperationError::Kind;

Table must_read(IpvsNetlink& kernel) {
  auto table = kernel.read();
  if (!table) FAIL(table.error().message);
  return *table;
}

void must_apply(IpvsNetlink& kernel, const std::vector<Operation>& operations) {
  const auto applied = kernel.apply(operations);
  if (applied.table_error) FAIL(applied.table_error->message);
  REQUIRE(applied.answers.size() == operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (!applied.answers[i]) FAIL(to_string(operations[i]) + ": " + applied.answers[i].error().message);
}

void clear(IpvsNetlink& kernel) { must_apply(kernel, plan(must_read(kernel), Table{})); }

// What a kernel takes of a random table: it refuses a lower threshold above the upper one.
Table acceptable(Table table) {
  for (auto& [key, entry] : table) {
    std::erase_if(entry.destinations, [&](const auto& item) { return item.first.address.family() != key.family; });
    for (auto& [name, destination] : entry.destinations)
      destination.lower_threshold = std::min(destination.lower_threshold, destination.upper_threshold);
  }
  return table;
}

Table many(unsigned services, unsigned destinations, const char* scheduler) {
  Table table;
  for (unsigned s = 0; s < services; ++s) {
    const ServiceKey key{Protocol::tcp, IpAddress::v4(0xc0a80001 + s / 1000), static_cast<std::uint16_t>(1 + s % 1000),
                         0, Family::ipv4};
    ServiceEntry& entry = table[key];
    entry.service.scheduler = scheduler;
    for (unsigned d = 0; d < destinations; ++d)
      entry.destinations[{IpAddress::v4(0x0a000001 + s * destinations + d), 8080}] = {};
  }
  return table;
}

template <class Work>
double milliseconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

TEST_CASE("after the plan was applied the kernel reads back as desired", "[kernel][ipvs][plan-law]") {
  IpvsNetlink kernel;
  clear(kernel);
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    test::RandomTables random(seed);
    const Table desired = acceptable(random.table());
    must_apply(kernel, plan(must_read(kernel), desired));
    const Table actual = must_read(kernel);
    for (const Operation& left : plan(actual, desired)) UNSCOPED_INFO(to_string(left));
    REQUIRE(actual == desired);
    for (const auto& [key, entry] : desired) {
      const auto one = kernel.read(key);
      REQUIRE(one);
      REQUIRE(*one == entry);
    }
  }
  clear(kernel);
}

TEST_CASE("each refused command has its own error and those around it are done", "[kernel][ipvs][errors]") {
  IpvsNetlink kernel;
  clear(kernel);
  const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
  const ServiceKey none{Protocol::tcp, IpAddress::v4(0xc000020a), 81, 0, Family::ipv4};
  const DestinationKey one{IpAddress::v4(0x0a000001), 80}, two{IpAddress::v4(0x0a000002), 80};
  struct Row {
    Operation operation;
    std::optional<OperationError::Kind> kind;
    std::string text;
  };
  const Row rows[] = {
      {AddService{web, {}}, std::nullopt, ""},
      {AddService{web, {}}, Kind::taken, "already"},
      {AddService{none, {"nosuch", 0, 0, 32}}, Kind::refused, "scheduler \"nosuch\""},
      {AddDestination{none, one, {}}, Kind::gone, "virtual service is not in the kernel"},
      {AddDestination{web, one, {}}, std::nullopt, ""},
      {AddDestination{web, one, {}}, Kind::taken, "already"},
      {SetDestination{web, two, {}}, Kind::gone, "not in the kernel"},
      {AddDestination{web, two, {-1, ForwardingMethod::masquerade, 0, 0}}, Kind::refused, "weight below 0"},
      {AddDestination{web, two, {1, ForwardingMethod::masquerade, 5, 6}}, Kind::refused, "threshold"},
      {AddDestination{web, {IpAddress::v4(0xe0000001), 80}, {}}, Kind::refused, "unicast"},
      {DeleteDestination{web, two}, std::nullopt, ""},
      {DeleteDestination{none, two}, std::nullopt, ""},
      {DeleteService{none}, std::nullopt, ""},
      {SetService{none, {}}, Kind::gone, "not in the kernel"},
      {AddDestination{web, two, {}}, std::nullopt, ""},
  };
  std::vector<Operation> operations;
  for (const Row& row : rows) operations.push_back(row.operation);
  const auto applied = kernel.apply(operations);
  REQUIRE_FALSE(applied.table_error);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    CAPTURE(to_string(operations[i]));
    const auto& answer = applied.answers[i];
    if (!rows[i].kind) {
      CHECK(answer.has_value());
      continue;
    }
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().kind == *rows[i].kind);
    CHECK_THAT(answer.error().message, Catch::Contains(rows[i].text));
    // The same alone, where IPVS has to be looked up again to know whose answer it is.
    const auto alone = kernel.apply({operations[i]});
    CHECK_FALSE(alone.table_error);
  }
  CHECK(must_read(kernel) == Table{{web, {{}, {{one, {}}, {two, {}}}}}});
  clear(kernel);
}

TEST_CASE("thousands of refusals at once lose no answer", "[kernel][ipvs][errors]") {
  IpvsNetlink kernel;
  clear(kernel);
  const ServiceKey none{Protocol::tcp, IpAddress::v4(0xc000020a), 81, 0, Family::ipv4};
  std::vector<Operation> operations;
  for (unsigned i = 0; i < 5000; ++i)
    operations.emplace_back(AddDestination{none, {IpAddress::v4(0x0a000001 + i), 80}, {}});
  const auto applied = kernel.apply(operations);
  REQUIRE(applied.answers.size() == operations.size());
  for (const auto& answer : applied.answers) {
    REQUIRE_FALSE(answer.has_value());
    REQUIRE(answer.error().kind == Kind::gone);
  }
}

// Deleted destinations stay in the kernel's trash for minutes, a list that each added one is looked up in: for figures
// run one of these in a namespace of its own.
void program_and_read_back(unsigned services, unsigned destinations, const char* scheduler) {
  IpvsNetlink kernel;
  clear(kernel);
  const Table desired = many(services, destinations, scheduler);
  const auto operations = plan(Table{}, desired);
  const double programmed = milliseconds([&] { must_apply(kernel, operations); });
  Table actual;
  const double read = milliseconds([&] { actual = must_read(kernel); });
  REQUIRE(actual == desired);
  const double removed = milliseconds([&] { clear(kernel); });
  const double again = milliseconds([&] { must_apply(kernel, operations); });
  clear(kernel);
  std::cout << services << " x " << destinations << " " << scheduler << ": " << operations.size() << " commands in "
            << programmed << " ms, read back in " << read << " ms, deleted in " << removed << " ms, made again in "
            << again << " ms\n";
}

TEST_CASE("1000 x 4 are programmed and read back", "[kernel][ipvs][speed]") { program_and_read_back(1000, 4, "wlc"); }
TEST_CASE("5000 x 4 are programmed and read back", "[kernel][ipvs][speed]") { program_and_read_back(5000, 4, "wlc"); }
TEST_CASE("1000 x 4 with mh are programmed and read back", "[kernel][ipvs][speed]") {
  program_and_read_back(1000, 4, "mh");
}

TEST_CASE("counters are read for all services or for those asked about", "[kernel][ipvs][stats]") {
  IpvsNetlink kernel;
  clear(kernel);
  must_apply(kernel, plan(Table{}, many(3, 2, "rr")));
  const auto all = kernel.read_stats();
  REQUIRE(all);
  CHECK(all->size() == 3);
  for (const auto& [key, stats] : *all) CHECK(stats.destinations.size() == 2);
  const auto some = kernel.read_stats(std::array{all->begin()->first});
  REQUIRE(some);
  CHECK(some->size() == 1);
  clear(kernel);
}

}  // namespace
}  // namespace vipkeeper::net
