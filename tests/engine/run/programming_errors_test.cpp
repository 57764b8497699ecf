// What the programmer makes of a kernel that refuses, forgets, leaves out or does not answer.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "tests/engine/run/programming_bench.h"
#include "tests/support/temporary_directory.h"

namespace vipkeeper::run {
namespace {

using Refusal = FakeKernel::Refusal;

// Distinct virtual servers by number, more than one address has ports.
config::VirtualServer numbered(unsigned number, unsigned real_servers = 1) {
  config::VirtualServer result = server(static_cast<std::uint16_t>(1 + number % 10000), real_servers);
  result.key.address = IpAddress::v4(0xc0a80001 + number / 10000);
  return result;
}

std::vector<config::VirtualServer> many(unsigned count) {
  std::vector<config::VirtualServer> servers;
  for (unsigned number = 0; number < count; ++number) servers.push_back(numbered(number));
  return servers;
}

std::size_t lines_with(const Bench& bench, const std::string& part) {
  return static_cast<std::size_t>(std::ranges::count_if(
      bench.lines, [&](const std::string& line) { return line.find(part) != std::string::npos; }));
}

const char* const no_memory = "the kernel is out of memory: Cannot allocate memory";

// --- no memory for one ---------------------------------------------------------------------------------------------

TEST_CASE("one service of 20,000 that the kernel has no memory for keeps nobody waiting and costs no reading",
          "[programming][errors][memory]") {
  Bench bench;
  const auto first = service_key(numbered(0).key);
  bench.kernel.refuse = [&](const ipvs::Operation& operation) -> std::optional<Refusal> {
    if (ipvs::service_of(operation) != first) return std::nullopt;
    return ipvs::OperationError{Kind::exhausted, no_memory};
  };
  bench.apply(many(20000));
  CHECK(bench.kernel.table.size() == 19999);
  CHECK(bench.programmer->settled());
  const TimePoint begin = bench.now;

  bench.apply({numbered(7, 2)});
  CHECK(bench.entry(numbered(7)).destinations.size() == 2);
  CHECK(bench.now == begin);
  bench.commands();

  bench.pass(10min);
  CHECK(bench.kernel.table_reads == 1);
  CHECK(bench.kernel.service_reads == 0);
  // Tried after 1, 2, 4, 8, 16 s, then each 30 s: two commands, told once.
  CHECK(bench.kernel.commands.size() < 2 * 25);
  CHECK(bench.kernel.commands.size() > 2 * 20);
  CHECK(lines_with(bench, no_memory) == 1);
  REQUIRE(bench.problems().size() == 1);
  CHECK(bench.problems()[0].object == "virtual service tcp 192.168.0.1:1");

  bench.kernel.refuse = nullptr;
  bench.pass(30s);
  CHECK(bench.kernel.table.size() == 20000);
  CHECK(bench.problems().empty());
  CHECK(bench.kernel.table_reads == 1);
}

TEST_CASE("a kernel out of memory for all costs a line a minute, however many services there are",
          "[programming][errors][memory]") {
  Bench bench;
  bool is_exhausted = true;
  bench.kernel.refuse = [&](const ipvs::Operation&) -> std::optional<Refusal> {
    if (!is_exhausted) return std::nullopt;
    return ipvs::OperationError{Kind::exhausted, no_memory};
  };
  bench.apply(many(1000));
  CHECK(bench.lines.size() == 1);
  // It gets some and loses it again, all the time: each time every refusal is a new one.
  for (unsigned round = 0; round < 60; ++round) {
    is_exhausted = !is_exhausted;
    for (unsigned number = 0; number < 1000; ++number)
      bench.programmer->apply(delta_of({numbered(number, 1 + round % 2)}), true, bench.now);
    bench.pass(10s);
  }
  CHECK(lines_with(bench, no_memory) <= 11);
  CHECK(lines_with(bench, no_memory) >= 5);
  CHECK(lines_with(bench, "more since the last such line") >= 4);
  CHECK(bench.kernel.table_reads == 1);
}

// --- the table -----------------------------------------------------------------------------------------------------

TEST_CASE("a table that can be read and takes no command is tried later and later, and told of once a minute",
          "[programming][errors][table]") {
  Bench bench;
  bench.kernel.refuse = [](const ipvs::Operation&) {
    return ipvs::TableError{{ErrorCode::io, "an answer of the kernel was lost"}};
  };
  bench.apply({server(80, 2)});
  bench.pass(10min);
  CHECK(bench.kernel.table_reads < 30);
  CHECK(bench.kernel.table_reads > 15);
  CHECK(lines_with(bench, "answer of the kernel was lost") <= 11);
  CHECK(bench.problems().size() == 1);
  CHECK_FALSE(bench.programmer->settled());
  bench.kernel.refuse = nullptr;
  bench.pass(31s);
  CHECK(bench.entry(server(80)).destinations.size() == 2);
  CHECK(bench.problems().empty());
  CHECK(bench.said("can be programmed again"));
}

TEST_CASE("a service that cannot be read is told of and holds up nobody", "[programming][errors]") {
  Bench bench;
  bench.apply({server(81, 1)});
  bench.kernel.table[service_key(server(80).key)] = desired_entry(server(80, 1));
  bench.kernel.refuse_read = [](const ipvs::ServiceKey&) { return ipvs::OperationError{Kind::exhausted, no_memory}; };
  bench.apply({server(80, 2)});
  bench.apply({server(81, 2)});
  CHECK(bench.entry(server(81)).destinations.size() == 2);
  REQUIRE(bench.problems().size() == 1);
  CHECK(bench.problems()[0].message == std::string("read virtual service tcp 192.0.2.10:80: ") + no_memory);
  CHECK(bench.kernel.table_reads == 1);
  bench.kernel.refuse_read = nullptr;
  bench.pass(31s);
  CHECK(bench.entry(server(80)).destinations.size() == 2);
  CHECK(bench.problems().empty());
}

// --- what a list leaves out ----------------------------------------------------------------------------------------

TEST_CASE("the record lets go of a service when its deletion was acknowledged, not when it is not listed",
          "[programming][record][lists]") {
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  Bench bench(record.get());
  const auto web = service_key(server(80).key);
  bench.apply({server(80), server(81)});
  // It shall go, and the kernel does not let it.
  bench.kernel.refuse = [](const ipvs::Operation& operation) -> std::optional<Refusal> {
    if (!std::holds_alternative<ipvs::DeleteService>(operation)) return std::nullopt;
    return ipvs::OperationError{Kind::refused, "Device or resource busy"};
  };
  bench.remove(server(80));
  bench.kernel.unlisted = [&](const ipvs::ServiceKey& key) { return key == web; };
  for (int lists = 0; lists < 3; ++lists) {
    bench.programmer->resync();
    bench.pass(40s);
    REQUIRE(bench.kernel.table.contains(web));
    CHECK(record->services().contains(web));
  }
  bench.kernel.refuse = nullptr;
  bench.pass(40s);
  CHECK_FALSE(bench.kernel.table.contains(web));
  CHECK(record->services() == std::set{service_key(server(81).key)});
}

TEST_CASE("what an earlier run left is deleted though no list has it", "[programming][record][lists]") {
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  record->claim(std::vector{service_key(server(80).key), service_key(server(81).key)});
  Bench bench(record.get());
  bench.kernel.table = {{service_key(server(80).key), desired_entry(server(80))},
                        {service_key(server(81).key), desired_entry(server(81))}};
  bench.kernel.unlisted = [](const ipvs::ServiceKey&) { return true; };
  bench.apply({server(82)}, false);
  bench.pass(1h);
  CHECK(bench.kernel.table.size() == 3);
  CHECK(record->services().size() == 3);
  bench.apply({server(80)}, true);
  CHECK(bench.kernel.table.size() == 2);
  CHECK_FALSE(bench.kernel.table.contains(service_key(server(81).key)));
  CHECK(record->services() == std::set{service_key(server(80).key), service_key(server(82).key)});
}

TEST_CASE("an audit takes no service for changed because a list leaves it out", "[programming][audit][lists]") {
  Bench bench(nullptr, 30s);
  bench.apply({server(80, 2), server(81, 2)});
  bench.commands();
  unsigned asked = 0;
  bench.kernel.unlisted = [&](const ipvs::ServiceKey&) { return ++asked % 3 == 0; };
  bench.pass(30min);
  CHECK(asked >= 100);
  CHECK(bench.commands().empty());
  CHECK_FALSE(bench.said("changed by someone else"));
  CHECK(bench.programmer->counters().table_reads == 1);
}

TEST_CASE("an audit that finds very many gone reads a second list and puts them right", "[programming][audit][lists]") {
  Bench bench(nullptr, 30s);
  bench.apply(many(500));
  bench.kernel.table.clear();
  bench.pass(31s);
  CHECK(bench.kernel.table.size() == 500);
  CHECK(bench.said("changed by someone else, being put right: 500"));
  CHECK(bench.kernel.service_reads == 0);
  CHECK(bench.programmer->counters().table_audits == 2);
}

// --- what is told --------------------------------------------------------------------------------------------------

TEST_CASE("problems are put together when they change and not otherwise", "[programming][status][cost]") {
  Bench bench;
  bench.kernel.refuse = [](const ipvs::Operation& operation) -> std::optional<Refusal> {
    if (ipvs::service_of(operation).port > 100) return std::nullopt;
    return ipvs::OperationError{Kind::refused, "Invalid argument"};
  };
  std::vector<config::VirtualServer> servers;
  for (std::uint16_t port = 1; port <= 200; ++port) servers.push_back(checked_server(port, 2));
  bench.apply(servers);
  bench.pass(1min);
  const auto before = bench.programmer->problems();
  REQUIRE(before->size() == 100);
  bench.pass(5min);  // checks succeed, the refused are refused again
  CHECK(bench.programmer->problems() == before);
  // A result that changes a service without a problem.
  servers[150].real_servers.pop_back();
  bench.apply({servers[150]});
  CHECK(bench.programmer->problems() == before);
  bench.remove(servers[50]);
  CHECK(bench.programmer->problems()->size() == 99);
  bench.kernel.refuse = nullptr;
  bench.pass(31s);
  CHECK(bench.problems().empty());
}

}  // namespace
}  // namespace vipkeeper::run
