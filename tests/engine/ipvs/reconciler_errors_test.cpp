#include "engine/ipvs/reconciler.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/engine/ipvs/reconciler_turns.h"

namespace vipkeeper::ipvs {
namespace {

// --- one command's error and the table's ----------------------------------------------------------------------------

TEST_CASE("a command that the kernel has no memory for costs no reading and holds up nobody",
          "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  kernel.refuse = [](const Operation& operation) -> std::optional<FakeKernel::Refusal> {
    if (service_of(operation).port > 200) return std::nullopt;
    return OperationError{Kind::exhausted, "ENOMEM"};
  };
  Reconciler reconciler;
  // As many as would be worth a list of the whole table, were they to be read.
  for (unsigned number = 0; number < 1000; ++number) reconciler.desire(numbered(number), one_server);
  TimePoint now = start;
  turn(reconciler, kernel, now);
  turn(reconciler, kernel, now);
  CHECK(kernel.table.size() == 800);
  CHECK(reconciler.caught_up());
  for (int tries = 0; tries < 10; ++tries) {
    now = *reconciler.next_deadline(now);
    turn(reconciler, kernel, now);
  }
  CHECK(kernel.table_reads == 1);
  CHECK(kernel.service_reads == 0);
  kernel.refuse = nullptr;
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table.size() == 1000);
  CHECK(kernel.table_reads == 1);
}

TEST_CASE("settings that were refused for want of memory are sent again, whatever is desired next",
          "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  reconciler.desire(web, one_server);
  REQUIRE(run(reconciler, kernel, now));
  // As ip_vs_edit_service(): the old scheduler is unbound, the new one could not be bound.
  kernel.refuse = [&](const Operation&) -> std::optional<FakeKernel::Refusal> {
    kernel.table.at(web).service.scheduler = "none";
    return OperationError{Kind::exhausted, "ENOMEM"};
  };
  ServiceEntry other = one_server;
  other.service.scheduler = "mh";
  reconciler.desire(web, other);
  turn(reconciler, kernel, now);
  kernel.refuse = nullptr;
  reconciler.desire(web, one_server);
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table.at(web) == one_server);
}

TEST_CASE("a service that the kernel cannot tell of is asked for later and later, and holds up nobody",
          "[ipvs][reconciler][errors]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  REQUIRE(run(reconciler, kernel, now));
  kernel.table[web] = one_server;
  kernel.refuse_read = [](const ServiceKey&) { return OperationError{Kind::exhausted, "ENOMEM"}; };
  reconciler.desire(web, two_servers);
  reconciler.desire(dns, one_server);
  turn(reconciler, kernel, now);  // it is there: to be read
  turn(reconciler, kernel, now);  // it cannot be read
  CHECK(kernel.table.at(dns) == one_server);
  CHECK(reconciler.next_deadline(now) == now + 2s);
  CHECK(kernel.table_reads == 1);
  kernel.refuse_read = nullptr;
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table.at(web) == two_servers);
}

TEST_CASE("what is wanted and what is to be read is known without looking at all that is wanted",
          "[ipvs][reconciler][cost]") {
  FakeKernel kernel;
  kernel.refuse = [](const Operation&) { return OperationError{Kind::refused, "no"}; };
  Reconciler reconciler;
  for (unsigned number = 0; number < 20000; ++number) reconciler.desire(numbered(number), one_server);
  TimePoint now = start;
  while (!reconciler.caught_up()) turn(reconciler, kernel, now);
  const auto begin = Clock::now();
  for (int question = 0; question < 100000; ++question) {
    REQUIRE(reconciler.wants_services(now).empty());
    REQUIRE_FALSE(reconciler.wants_whole_table(now));
    REQUIRE(reconciler.next(now, 1000).empty());
    REQUIRE(reconciler.caught_up());
  }
  // Looking through them would take minutes.
  CHECK(Clock::now() - begin < 20s);
}

// --- a list that leaves out what is there ---------------------------------------------------------------------------

TEST_CASE("an own service that is not listed is asked for before anything is made of that",
          "[ipvs][reconciler][lists]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  reconciler.desire(web, one_server);
  REQUIRE(run(reconciler, kernel, now));
  kernel.commands.clear();
  kernel.unlisted = [](const ServiceKey&) { return true; };
  CHECK(reconciler.observe(*kernel.read()) == 0);
  CHECK(reconciler.wants_services(now) == std::vector{web});
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands.empty());
  CHECK(kernel.table_reads == 2);
  CHECK(reconciler.mirror().contains(web));
}

TEST_CASE("where many are not listed, the next list decides", "[ipvs][reconciler][lists]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  for (unsigned number = 0; number < 500; ++number) reconciler.desire(numbered(number), one_server);
  REQUIRE(run(reconciler, kernel, now));
  kernel.table.clear();
  CHECK(reconciler.observe(*kernel.read()) == 0);
  CHECK(reconciler.wants_whole_table(now));
  CHECK(reconciler.observe(*kernel.read()) == 500);
  CHECK_FALSE(reconciler.wants_whole_table(now));
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table.size() == 500);
  CHECK(kernel.service_reads == 0);
}

TEST_CASE("what shall go and is not listed is deleted all the same, and is wanted gone until the kernel says so",
          "[ipvs][reconciler][lists]") {
  const bool is_adopted = GENERATE(false, true);
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  if (is_adopted) {
    kernel.table[web] = one_server;
    reconciler.adopt({web});
  } else {
    reconciler.desire(web, one_server);
    REQUIRE(run(reconciler, kernel, now));
    reconciler.invalidate();
    reconciler.desire(web, std::nullopt);
  }
  kernel.commands.clear();
  kernel.unlisted = [](const ServiceKey&) { return true; };
  reconciler.observe(*kernel.read());
  reconciler.observe(*kernel.read());
  if (is_adopted) reconciler.desire(web, std::nullopt);
  CHECK(reconciler.is_wanted(web));
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.commands == std::vector<Operation>{DeleteService{web}});
  CHECK_FALSE(kernel.table.contains(web));
  CHECK_FALSE(reconciler.is_wanted(web));
}

TEST_CASE("a service whose making nobody answered for is deleted when it is not wanted any more",
          "[ipvs][reconciler][lists]") {
  FakeKernel kernel;
  Reconciler reconciler;
  TimePoint now = start;
  reconciler.desire(web, one_server);
  REQUIRE(turn(reconciler, kernel, now).empty());
  reconciler.desire(dns, one_server);
  const auto batch = reconciler.next(now, 100);
  kernel.apply(batch);
  CHECK(reconciler.acknowledge(now, batch, {}).table_error);
  reconciler.desire(dns, std::nullopt);
  kernel.unlisted = [](const ServiceKey& key) { return key == dns; };
  REQUIRE(run(reconciler, kernel, now));
  CHECK(kernel.table == Table{{web, one_server}});
}

}  // namespace
}  // namespace vipkeeper::ipvs
