#include "engine/ipvs/reconciler.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/engine/ipvs/random_table.h"
#include "tests/engine/ipvs/reconciler_turns.h"

namespace vipkeeper::ipvs {
namespace {

using test::RandomTables;

TEST_CASE("whatever fails on the way, the kernel ends as desired and foreign services are as they were",
          "[ipvs][reconciler][convergence]") {
  for (unsigned seed = 1; seed <= 1500; ++seed) {
    CAPTURE(seed);
    RandomTables random(seed);
    FakeKernel kernel;
    kernel.table = random.table();
    const Table foreign = kernel.table;
    Reconciler reconciler;
    Table desired;
    TimePoint now = start;
    unsigned faults = random.below(6);
    const auto strikes = [&] {
      if (faults == 0 || random.below(4) != 0) return false;
      --faults;
      return true;
    };
    kernel.refuse = [&](const Operation&) -> std::optional<FakeKernel::Refusal> {
      if (!strikes()) return std::nullopt;
      const Kind kinds[] = {Kind::gone, Kind::taken, Kind::exhausted, Kind::refused};
      if (const unsigned kind = random.below(6); kind < 4) return OperationError{kinds[kind], "injected"};
      return TableError{{ErrorCode::io, "injected"}};
    };
    kernel.refuse_read = [&](const ServiceKey&) -> std::optional<OperationError> {
      if (!strikes()) return std::nullopt;
      return OperationError{Kind::exhausted, "injected"};
    };
    kernel.unlisted = [&](const ServiceKey&) { return strikes(); };
    for (unsigned change = 0; change < 8; ++change) {
      const ServiceKey key = random.key();
      if (random.below(3) != 0) {
        desired[key] = random.entry(key);
        reconciler.desire(key, desired[key]);
      } else if (desired.erase(key) != 0) {
        reconciler.desire(key, std::nullopt);
      }
      if (random.below(4) == 0) {
        // Someone else meddles with what is ours; found out by an error or by resync.
        kernel.table.erase(key);
        reconciler.invalidate();
      }
      if (random.below(2) == 0) turn(reconciler, kernel, now);
    }
    kernel.read_error = TableError{{ErrorCode::unavailable, "injected"}};
    turn(reconciler, kernel, now);
    kernel.read_error.reset();
    REQUIRE(run(reconciler, kernel, now));
    REQUIRE(reconciler.converged());
    for (const auto& [key, entry] : desired) REQUIRE(kernel.table.at(key) == entry);
    for (const auto& [key, entry] : kernel.table)
      if (!desired.contains(key)) REQUIRE(foreign.contains(key));
    for (const auto& [key, entry] : reconciler.mirror()) REQUIRE(kernel.table.at(key) == entry);
  }
}

TEST_CASE("one changed real server is one command in one send and no read", "[ipvs][reconciler][one-command]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  for (std::uint16_t port = 1; port <= 1000; ++port)
    reconciler.desire({Protocol::tcp, IpAddress::v4(0xc0000201), port, 0, Family::ipv4}, one_server);
  reconciler.desire(web, one_server);
  REQUIRE(run(reconciler, kernel, now));
  kernel.commands.clear();
  kernel.table_reads = kernel.service_reads = kernel.sends = 0;

  reconciler.desire(web, two_servers);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands == std::vector<Operation>{AddDestination{web, two, {}}});
  CHECK(kernel.sends == 1);
  CHECK(kernel.table_reads == 0);
  CHECK(kernel.service_reads == 0);
}

TEST_CASE("what is there already as desired costs no command", "[ipvs][reconciler][adoption]") {
  FakeKernel kernel;
  kernel.table[web] = two_servers;
  Reconciler reconciler;
  reconciler.adopt({web});
  reconciler.desire(web, two_servers);
  TimePoint now = start;
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands.empty());
  CHECK(reconciler.mirror().at(web) == two_servers);
}

TEST_CASE("an adopted service is kept as it is until something is desired of it", "[ipvs][reconciler][adoption]") {
  FakeKernel kernel;
  kernel.table[web] = two_servers;
  kernel.table[dns] = one_server;
  Reconciler reconciler;
  reconciler.adopt({web});
  TimePoint now = start;
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands.empty());
  CHECK(reconciler.is_foreign(dns));
  reconciler.desire(web, std::nullopt);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands == std::vector<Operation>{DeleteService{web}});
}

TEST_CASE("a foreign service that becomes desired is edited in place", "[ipvs][reconciler][adoption]") {
  FakeKernel kernel;
  kernel.table[web] = one_server;
  Reconciler reconciler;
  TimePoint now = start;
  REQUIRE(run(reconciler, kernel, now));
  REQUIRE(reconciler.is_foreign(web));
  reconciler.desire(web, two_servers);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands == std::vector<Operation>{AddDestination{web, two, {}}});
  CHECK(kernel.table_reads == 1);
}

TEST_CASE("a foreign service is not deleted because someone does not desire it", "[ipvs][reconciler][foreign]") {
  FakeKernel kernel;
  kernel.table[web] = one_server;
  Reconciler reconciler;
  TimePoint now = start;
  REQUIRE(run(reconciler, kernel, now));
  reconciler.desire(web, std::nullopt);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands.empty());
}

TEST_CASE("a service that came to be behind our back is read and edited, without delay", "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  REQUIRE(run(reconciler, kernel, now));
  kernel.table[web] = one_server;
  reconciler.desire(web, two_servers);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(now == start);
  CHECK(kernel.table.at(web) == two_servers);
  CHECK(kernel.service_reads == 1);
  CHECK(kernel.table_reads == 1);
}

TEST_CASE("a refused command does not hold up other services and is tried later and later",
          "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  kernel.refuse = [](const Operation& operation) -> std::optional<FakeKernel::Refusal> {
    if (service_of(operation) != web) return std::nullopt;
    return OperationError{Kind::refused, "no such scheduler"};
  };
  Reconciler reconciler;
  reconciler.desire(web, one_server);
  reconciler.desire(dns, one_server);
  TimePoint now = start;
  const auto failures = turn(reconciler, kernel, now);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].operation == Operation(AddService{web, {}}));
  CHECK(kernel.table.contains(dns));
  CHECK(reconciler.caught_up());
  CHECK_FALSE(reconciler.converged());

  const Duration pauses[] = {1s, 2s, 4s, 8s, 16s, 30s, 30s};
  for (const Duration pause : pauses) {
    REQUIRE(reconciler.next_deadline(now) == now + pause);
    turn(reconciler, kernel, now + pause - 1ms);
    REQUIRE(reconciler.next_deadline(now) == now + pause);
    now += pause;
    turn(reconciler, kernel, now);
  }
  kernel.refuse = nullptr;
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table.at(web) == one_server);
}

TEST_CASE("a new wish for a failing service is tried at once", "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  kernel.refuse = [](const Operation&) { return OperationError{Kind::refused, "no"}; };
  Reconciler reconciler;
  TimePoint now = start;
  reconciler.desire(web, one_server);
  turn(reconciler, kernel, now);
  kernel.refuse = nullptr;
  reconciler.desire(web, two_servers);
  CHECK(reconciler.next_deadline(now) <= now);
  turn(reconciler, kernel, now);
  CHECK(kernel.table.at(web) == two_servers);
}

TEST_CASE("an error of the whole table makes the whole table be read again", "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  reconciler.desire(dns, one_server);
  REQUIRE(run(reconciler, kernel, now));
  kernel.refuse = [](const Operation&) { return TableError{{ErrorCode::io, "answers were lost"}}; };
  reconciler.desire(web, one_server);
  turn(reconciler, kernel, now);
  CHECK(reconciler.wants_whole_table(now));
  CHECK_FALSE(reconciler.caught_up());
  kernel.refuse = nullptr;
  kernel.table.erase(dns);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table.at(dns) == one_server);
  CHECK(kernel.table.at(web) == one_server);
}

TEST_CASE("missing answers count as an error of the whole table", "[ipvs][reconciler][errors]") {
  Reconciler reconciler;
  reconciler.observe({});
  reconciler.desire(web, one_server);
  const auto batch = reconciler.next(start, 10);
  REQUIRE(batch.size() == 2);
  const auto outcome = reconciler.acknowledge(start, batch, {{{}}, std::nullopt});
  REQUIRE(outcome.table_error);
  CHECK(outcome.table_error->code == ErrorCode::io);
  CHECK(reconciler.mirror().contains(web));  // the answer that was given counts
  CHECK(reconciler.wants_whole_table(start));
}

TEST_CASE("reading again puts right what someone else changed, deleted or added in our services",
          "[ipvs][reconciler][resync]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  reconciler.desire(web, two_servers);
  reconciler.desire(dns, one_server);
  REQUIRE(run(reconciler, kernel, now));
  kernel.table.erase(dns);
  kernel.table[web].destinations[one].weight = 77;
  kernel.table[web].destinations.erase(two);
  reconciler.invalidate();
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table == Table{{web, two_servers}, {dns, one_server}});
}

TEST_CASE("a batch ends with whole services and deletes at the end of all", "[ipvs][reconciler][batch]") {
  Reconciler reconciler;
  reconciler.adopt({dns});
  reconciler.observe({{dns, one_server}});
  reconciler.desire(dns, std::nullopt);
  for (std::uint16_t port = 1; port <= 10; ++port)
    reconciler.desire({Protocol::tcp, IpAddress::v4(0xc0000201), port, 0, Family::ipv4}, two_servers);
  FakeKernel kernel;
  kernel.table[dns] = one_server;
  std::size_t total = 0;
  while (true) {
    const auto batch = reconciler.next(start, 4);
    if (batch.empty()) break;
    CHECK(batch.size() <= 6);
    if (total < 30) CHECK(std::holds_alternative<AddService>(batch.front()));
    total += batch.size();
    const auto outcome = reconciler.acknowledge(start, batch, kernel.apply(batch));
    if (total == 31) CHECK(outcome.deleted == std::vector<ServiceKey>{dns});
  }
  CHECK(total == 31);
  CHECK(reconciler.converged());
}

}  // namespace
}  // namespace vipkeeper::ipvs
