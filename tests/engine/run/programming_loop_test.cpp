#include "engine/run/services/programming_loop.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/ipvs/dry_run_table.h"
#include "engine/run/services/virtual_service.h"
#include "tests/engine/ipvs/fake_kernel.h"
#include "tests/engine/run/programming_servers.h"
#include "tests/support/temporary_directory.h"

namespace vipkeeper::run {
namespace {

using namespace std::chrono_literals;
using namespace test;

// A fake kernel that outlives the loop and can be waited on and held.
class SharedKernel {
 public:
  // What the loop is given.
  std::unique_ptr<ipvs::KernelTable> table() { return std::make_unique<Door>(*this); }

  // Waits until the kernel holds exactly what these need; false after 20 s.
  bool wait_for(const std::vector<config::VirtualServer>& servers) {
    ipvs::Table desired;
    for (const auto& one : servers) desired[service_key(one.key)] = desired_entry(one);
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return kernel_.table == desired; });
  }
  std::size_t commands() {
    const std::lock_guard lock(mutex_);
    return kernel_.commands.size();
  }
  // Until it was used at all, were it only that the user waits now.
  void wait_for_use() const { uses_.wait(0); }
  // While it is held, every use waits.
  std::unique_lock<std::mutex> hold() { return std::unique_lock(mutex_); }

 private:
  struct Door final : ipvs::KernelTable {
    explicit Door(SharedKernel& owner) : owner_(owner) {}
    ipvs::TableResult<ipvs::Table> read() override {
      const auto lock = owner_.enter();
      return owner_.kernel_.read();
    }
    std::expected<std::optional<ipvs::ServiceEntry>, ipvs::ReadError> read(const ipvs::ServiceKey& key) override {
      const auto lock = owner_.enter();
      return owner_.kernel_.read(key);
    }
    ipvs::Applied apply(const std::vector<ipvs::Operation>& operations) override {
      const auto lock = owner_.enter();
      auto results = owner_.kernel_.apply(operations);
      owner_.changed_.notify_all();
      return results;
    }
    SharedKernel& owner_;
  };

  std::unique_lock<std::mutex> enter() {
    uses_.fetch_add(1);
    uses_.notify_all();
    return std::unique_lock(mutex_);
  }

  std::atomic<unsigned> uses_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  FakeKernel kernel_;
};

std::unique_ptr<ProgrammingLoop> start(SharedKernel& kernel, Ownership* ownership = nullptr) {
  ProgrammingLoopOptions options;
  options.ownership = ownership;
  options.table = kernel.table();
  options.audit_interval = 0s;
  auto loop = ProgrammingLoop::start(std::move(options));
  if (!loop) FAIL(loop.error().message);
  return std::move(*loop);
}

TEST_CASE("what is applied comes to be in the kernel, and goes at the end", "[programming][loop]") {
  SharedKernel kernel;
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  auto loop = start(kernel, record.get());
  CHECK_FALSE(loop->settled());
  loop->apply(delta_of({server(80, 2), server(81, 2)}), true);
  CHECK(kernel.wait_for({server(80, 2), server(81, 2)}));
  CHECK(record->services().size() == 2);
  const auto status = loop->status();  // waits for the turn, so what that turn published is there
  REQUIRE(status->size() == 2);
  CHECK(loop->settled());
  CHECK(loop->counters().at("kernel_operations{kind=\"destination_add\"}") == 4);
  CHECK(loop->problems().empty());
  loop->stop();
  CHECK(kernel.wait_for({}));
  CHECK(record->services().empty());
  CHECK(loop->status()->size() == 2);
  loop->stop();
}

TEST_CASE("the end may leave the kernel as it is", "[programming][loop]") {
  SharedKernel kernel;
  auto loop = start(kernel);
  loop->apply(delta_of({server(80, 2)}), true);
  CHECK(kernel.wait_for({server(80, 2)}));
  loop->stop(false);
  loop.reset();
  CHECK(kernel.wait_for({server(80, 2)}));
}

TEST_CASE("changes that come faster than they are programmed are merged, none is lost", "[programming][loop]") {
  SharedKernel kernel;
  auto loop = start(kernel);
  std::vector<config::VirtualServer> servers;
  {
    const auto held = kernel.hold();  // a slow kernel
    for (std::uint16_t port = 1; port <= 50; ++port) {
      for (unsigned real_servers = 1; real_servers <= 3; ++real_servers)
        loop->apply(delta_of({server(port, real_servers)}), port == 50);
      if (port % 5 == 0)
        loop->apply({{server(port).key, nullptr}}, false);
      else
        servers.push_back(server(port, 3));
    }
    CHECK_FALSE(loop->settled());
  }
  CHECK(kernel.wait_for(servers));
  CHECK(kernel.commands() < 50 * 5);
}

TEST_CASE("an end before anything was applied deletes what an earlier run left", "[programming][loop]") {
  SharedKernel kernel;
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  {
    auto loop = start(kernel, record.get());
    loop->apply(delta_of({server(80)}), true);
    REQUIRE(kernel.wait_for({server(80)}));
    loop->stop(false);
  }
  start(kernel, record.get())->stop();
  CHECK(kernel.wait_for({}));
}

TEST_CASE("the table is put right when asked", "[programming][loop]") {
  SharedKernel kernel;
  auto loop = start(kernel);
  loop->apply(delta_of({server(80)}), true);
  REQUIRE(kernel.wait_for({server(80)}));
  REQUIRE(kernel.table()->apply({ipvs::DeleteService{service_key(server(80).key)}}).answers.at(0));
  loop->resync();
  CHECK(kernel.wait_for({server(80)}));
}

TEST_CASE("a dry run plans, shows and tells no kernel", "[programming][loop][dry-run]") {
  SharedKernel kernel;
  ProgrammingLoopOptions options;
  options.dry_run = true;
  options.table = std::make_unique<ipvs::DryRunTable>(ipvs::Table{});
  auto loop = ProgrammingLoop::start(std::move(options));
  REQUIRE(loop);
  (*loop)->apply(delta_of({checked_server(80, 2)}), true);
  // Two answers: the first may be given before the queue was read.
  (void)(*loop)->status();
  const auto status = (*loop)->status();
  REQUIRE(status->size() == 1);
  CHECK((*status)[0].real_servers[0].alive);
  CHECK(kernel.commands() == 0);
}

TEST_CASE("a thread that does not come back from the kernel is a problem that says what it waits for",
          "[programming][loop][health]") {
  SharedKernel kernel;
  auto loop = start(kernel);
  const TimePoint now = Clock::now();
  {
    const auto held = kernel.hold();
    loop->apply(delta_of({server(80)}), true);
    kernel.wait_for_use();
    CHECK(loop->problems(now).empty());
    CHECK(loop->problems(now + 9s).empty());
    const auto problems = loop->problems(now + 11s);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].error);
    CHECK(problems[0].object == "IPVS");
    CHECK_THAT(problems[0].message, Catch::Contains("the programming thread does not answer: since 20"));
    CHECK_THAT(problems[0].message, Catch::Contains("it waits for the kernel, which is to list its IPVS table"));
    // The same text for as long as it lasts: one Event, one line.
    CHECK(loop->problems(now + 1h) == problems);
    CHECK_FALSE(loop->settled());
  }
  CHECK(kernel.wait_for({server(80)}));
  (void)loop->status();  // waits for the turn
  CHECK(loop->problems(now + 2h).empty());
}

TEST_CASE("many may ask while many apply", "[programming][loop][threads]") {
  SharedKernel kernel;
  auto loop = start(kernel);
  std::thread asker([&] {
    for (int i = 0; i < 200; ++i) {
      (void)loop->status();
      (void)loop->settled();
      (void)loop->counters();
      (void)loop->problems();
    }
  });
  for (unsigned i = 0; i < 200; ++i) loop->apply(delta_of({server(80, 1 + i % 3)}), true);
  asker.join();
  loop->apply(delta_of({server(80, 5)}), true);
  CHECK(kernel.wait_for({server(80, 5)}));
}

}  // namespace
}  // namespace vipkeeper::run
