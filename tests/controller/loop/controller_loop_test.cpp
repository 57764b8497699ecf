#include "controller/loop/controller_loop.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "tests/controller/plan/world.h"
#include "tests/support/temporary_directory.h"

using namespace vipkeeper;
using namespace std::chrono_literals;
namespace world = plan::world;

namespace {

// An engine that takes every fragment but those whose text has a forbidden word.
class Engine {
 public:
  loop::EngineAnswer apply(const config::FragmentChange& change) {
    const std::lock_guard lock(mutex_);
    ++calls_;
    for (const auto& [id, fragment] : change) {
      if (fragment && !refused_.empty() && fragment->text.find(refused_) != std::string::npos)
        return {false, {{config::Severity::error, {"keepalived.conf", 1, 1}, "refused"}}};
    }
    for (const auto& [id, fragment] : change) texts_[id] = fragment ? fragment->text : "";
    return {true, {}};
  }
  void refuse(std::string word) {
    const std::lock_guard lock(mutex_);
    refused_ = std::move(word);
  }
  [[nodiscard]] bool runs(const std::string& word) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(texts_, [&](const auto& one) { return one.second.find(word) != std::string::npos; });
  }
  [[nodiscard]] unsigned calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  std::string refused_;
  std::map<std::string, std::string> texts_;
  unsigned calls_ = 0;
};

struct Bench {
  explicit Bench(std::string config_file = "") {
    loop::ControllerOptions options{world::options(), "manifests", std::move(config_file)};
    controller = std::make_unique<loop::ControllerLoop>(
        std::move(options), render::Templates::built_in(),
        loop::ControllerEdges{[this](const config::FragmentChange& change) { return engine.apply(change); },
                              [] { return world::eth0(); }});
  }
  void put(std::vector<objects::ObjectChange> changes, bool synced = true) {
    controller->put({.changes = std::move(changes), .synced = synced, .problems = {}});
  }

  Engine engine;
  std::unique_ptr<loop::ControllerLoop> controller;
};

template <class Condition>
bool comes_true(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return false;
}

std::vector<objects::ObjectChange> cluster(const std::string& vip) {
  return {world::is("n1", world::node("10.0.0.4")), world::entries({{vip, "default/web"}}),
          world::is("default/web", world::service({world::port(80, 8080)})),
          world::is("default/web-1", world::slice("web", {world::on(8080)}, {world::ready("10.2.0.5")}))};
}

}  // namespace

TEST_CASE("nothing is handed to the engine before the source has told everything once", "[loop]") {
  Bench bench;
  bench.put(cluster("10.0.0.50"), false);
  REQUIRE(comes_true([&] { return bench.controller->counters()["object_changes"] == 4; }));
  CHECK(bench.engine.calls() == 0);
  CHECK_FALSE(bench.controller->status().synced);
  bench.put({}, true);
  CHECK(comes_true([&] { return bench.engine.runs("virtual_server 10.0.0.50 80"); }));
}

TEST_CASE("a fragment that the engine refuses is reported and holds up no other", "[loop]") {
  Bench bench;
  bench.engine.refuse("virtual_server 10.0.0.50");
  bench.put(cluster("10.0.0.50"));
  REQUIRE(comes_true([&] { return bench.engine.runs("vrrp_instance vips"); }));
  REQUIRE(comes_true([&] { return !bench.controller->status().problems.empty(); }));
  CHECK_FALSE(bench.engine.runs("virtual_server 10.0.0.50"));
  bench.put({world::entries({{"10.0.0.50", "default/web"}, {"10.0.0.51", "default/web"}})});
  CHECK(comes_true([&] { return bench.engine.runs("virtual_server 10.0.0.51 80"); }));
}

TEST_CASE("the shown file keeps up while changes never pause", "[loop]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/keepalived.conf";
  Bench bench(path);
  bench.put(cluster("10.0.0.50"));
  bool second = false;
  CHECK(comes_true([&] {
    bench.put({world::entries({{second ? "10.0.0.50" : "10.0.0.51", "default/web"}})});
    second = !second;
    return std::filesystem::exists(path);
  }));
}
