#include "engine/ipvs/reconciler.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/engine/ipvs/fake_kernel.h"
#include "tests/engine/ipvs/random_table.h"

namespace vipkeeper::ipvs {
namespace {

using namespace std::chrono_literals;
using test::FakeKernel;
using test::RandomTables;

const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
const ServiceKey dns{Protocol::udp, IpAddress::v4(0xc000020b), 53, 0, Family::ipv4};
const DestinationKey one{IpAddress::v4(0x0a000001), 8080}, two{IpAddress::v4(0x0a000002), 8080};
const ServiceEntry one_server{{}, {{one, {}}}}, two_servers{{}, {{one, {}}, {two, {}}}};
const TimePoint start{1000h};

// One turn as the reconciler's essay has it.
std::vector<Reconciler::Failure> turn(Reconciler& reconciler, FakeKernel& kernel, TimePoint now) {
  if (reconciler.wants_whole_table(now)) {
    auto table = kernel.read();
    if (!table) return {};
    reconciler.observe(std::move(*table));
  }
  for (const ServiceKey& key : reconciler.wants_services(now)) {
    auto entry = kernel.read(key);
    if (!entry) {
      reconciler.invalidate();
      return {};
    }
    reconciler.observe(key, std::move(*entry));
  }
  const auto batch = reconciler.next(now, 1000);
  if (batch.empty()) return {};
  return reconciler.acknowledge(now, batch, kernel.apply(batch)).failures;
}

// Turns, moving time to each deadline, until nothing is left; false after many.
bool run(Reconciler& reconciler, FakeKernel& kernel, TimePoint& now) {
  for (int turns = 0; turns < 200; ++turns) {
    turn(reconciler, kernel, now);
    const auto deadline = reconciler.next_deadline(now);
    if (!deadline) return true;
    now = std::max(now, *deadline);
  }
  return false;
}

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
    kernel.refuse = [&](const Operation&) -> std::optional<Error> {
      if (faults == 0 || random.below(4) != 0) return std::nullopt;
      --faults;
      const ErrorCode codes[] = {ErrorCode::invalid_input, ErrorCode::io,         ErrorCode::unavailable,
                                 ErrorCode::not_found,     ErrorCode::permission, ErrorCode::already_exists};
      return Error{codes[random.below(6)], "injected"};
    };
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
    kernel.read_error = Error{ErrorCode::unavailable, "injected"};
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
  kernel.refuse = [](const Operation& operation) -> std::optional<Error> {
    if (service_of(operation) != web) return std::nullopt;
    return Error{ErrorCode::invalid_input, "no such scheduler"};
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
  kernel.refuse = [](const Operation&) { return Error{ErrorCode::invalid_input, "no"}; };
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
  kernel.refuse = [](const Operation&) { return Error{ErrorCode::io, "answers were lost"}; };
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
  const auto outcome = reconciler.acknowledge(start, batch, {Result<void>{}});
  REQUIRE(outcome.table_unusable);
  CHECK(outcome.table_unusable->code == ErrorCode::io);
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
