#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>

#include "controller/loop/controller_loop.h"
#include "controller/render/templates.h"
#include "tests/support/temporary_directory.h"

using namespace vipkeeper;
using namespace std::chrono_literals;
using objects::Kind;
using objects::ObjectChange;

namespace {

template <class T>
ObjectChange is(Kind kind, const std::string& name, T object) {
  return {{kind, kind == Kind::node ? "" : "default", name},
          std::make_shared<const objects::Object>(std::move(object))};
}

ObjectChange entries(std::map<std::string, std::string> data) {
  return is(Kind::config_map, "vips", objects::ConfigMap{.data = std::move(data)});
}

ObjectChange node() {
  objects::Node result;
  result.internal_addresses = {*IpAddress::parse("192.0.2.11")};
  return is(Kind::node, "node1", std::move(result));
}

ObjectChange web() {
  objects::Service service;
  service.ports = {{.name = "", .protocol = Protocol::tcp, .port = 80, .target_port = std::uint16_t{8080}}};
  return is(Kind::service, "web", std::move(service));
}

ObjectChange slice(const std::string& address) {
  objects::EndpointSlice result;
  result.service = "web";
  result.ports = {{.name = "", .protocol = Protocol::tcp, .port = 8080}};
  result.endpoints = {{.address = *IpAddress::parse(address)}};
  return is(Kind::endpoint_slice, "web-1", std::move(result));
}

// A controller on node1 whose engine takes everything and remembers the text.
class Controller {
 public:
  explicit Controller(const std::string& run_dir, const std::string& config_map = "vips", Duration patience = 1h)
      : loop_(options(run_dir, config_map, patience), render::Templates::built_in(),
              {.apply =
                   [this](const config::FragmentChange& change) {
                     const std::lock_guard lock(mutex_);
                     for (const auto& [id, fragment] : change) {
                       ++changes_;
                       if (fragment) {
                         text_[id] = fragment->text;
                       } else {
                         text_.erase(id);
                         ++removals_;
                       }
                     }
                     applied_ = true;
                     changed_.notify_all();
                     return loop::EngineAnswer{.applied = true, .problems = {}};
                   },
               .read_interfaces =
                   [] { return std::vector<plan::HostInterface>{{"eth0", *IpPrefix::parse("192.0.2.11/24")}}; },
               .report =
                   [this](loop::PlanNews news) {
                     const std::lock_guard lock(mutex_);
                     news_.push_back(std::move(news));
                     changed_.notify_all();
                   }}) {}

  void put(std::vector<ObjectChange> changes, bool synced, std::vector<objects::SourceProblem> problems = {}) {
    loop_.put({std::move(changes), synced, std::move(problems)});
  }
  // The text comes to hold, or not to hold, the words.
  bool shows(const std::string& words, bool shown = true) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] {
      std::string all;
      for (const auto& [id, text] : text_) all += text;
      return applied_ && (all.find(words) != std::string::npos) == shown;
    });
  }
  bool reports(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return news_.size() >= count; });
  }
  int changes() { return locked(changes_); }
  int removals() { return locked(removals_); }
  std::vector<loop::PlanNews> news() { return locked(news_); }
  status::ConfigStatus status() { return loop_.status(); }
  std::string problems() {
    std::string all;
    for (const auto& problem : loop_.status().problems) all += problem.object + ": " + problem.message + "\n";
    return all;
  }
  // The problems come to hold, or not to hold, the words: they are told after what the engine was given.
  bool says(const std::string& words, bool said = true) {
    for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::yield()) {
      if ((problems().find(words) != std::string::npos) == said) return true;
    }
    return false;
  }
  bool becomes_synced() {
    for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::yield()) {
      if (loop_.status().synced && problems().find("was known at") == std::string::npos) return true;
    }
    return false;
  }

 private:
  static loop::ControllerOptions options(const std::string& run_dir, const std::string& config_map, Duration patience) {
    loop::ControllerOptions result;
    result.plan.config_map_namespace = "default";
    result.plan.config_map_name = config_map;
    result.plan.host_name = "node1";
    result.source_name = "apiserver";
    result.objects_file = loop::ObjectsFileOptions{
        .path = run_dir + "/objects.json",
        .origin = {
            .config_map = "default/" + config_map, .watch_namespace = "", .node = "node1", .server = "http://x"}};
    result.patience = patience;
    return result;
  }
  template <class T>
  T locked(const T& value) {
    const std::lock_guard lock(mutex_);
    return value;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> text_;
  bool applied_ = false;
  int changes_ = 0;
  int removals_ = 0;
  std::vector<loop::PlanNews> news_;
  loop::ControllerLoop loop_;
};

const objects::SourceProblem gone = {true, "API server", "http://x does not answer"};

// What a run with a working API server leaves.
void run_once(const std::string& directory, std::map<std::string, std::string> data) {
  Controller controller(directory);
  controller.put({entries(std::move(data)), node(), web(), slice("10.2.0.5")}, true);
  REQUIRE(controller.shows("10.2.0.5"));
}

}  // namespace

TEST_CASE("without its API server a restarted node serves what it last knew, and says since when", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  run_once(directory.path, {{"192.0.2.50", "default/web"}});
  Controller controller(directory.path);
  controller.put({}, false, {gone});
  REQUIRE(controller.shows("real_server 10.2.0.5 8080"));
  CHECK(controller.shows("192.0.2.50/32"));
  CHECK(controller.says("API server: has told nothing since the start: serving what was known at 20"));
  CHECK(controller.says("http://x does not answer"));
  const auto status = controller.status();
  CHECK_FALSE(status.synced);
  CHECK(status.generation == 1);
  CHECK(status.source == "apiserver");
  CHECK(controller.news().empty());

  // Half of a list is no reason to change anything.
  controller.put({entries({})}, false);
  controller.put({node()}, false);
  // It is back, and says the same but for one endpoint.
  const int before = controller.changes();
  controller.put({entries({{"192.0.2.50", "default/web"}}), node(), web(), slice("10.2.0.6")}, true);
  REQUIRE(controller.shows("real_server 10.2.0.6 8080"));
  CHECK(controller.becomes_synced());
  CHECK(controller.changes() == before + 1);
  CHECK(controller.removals() == 0);
}

TEST_CASE("a problem of the source is logged when it comes, and its object when the last of it is gone",
          "[loop][outage][messages]") {
  const tests::TemporaryDirectory directory;
  std::ostringstream text;
  const auto logger = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  {
    Controller controller(directory.path);
    controller.put({entries({}), node()}, true, {gone});
    REQUIRE(controller.says("http://x does not answer"));
    // In other words, which is no return.
    controller.put({}, true, {{true, gone.object, "http://x has not answered for 5 s"}});
    REQUIRE(controller.says("for 5 s"));
    controller.put({entries({{"192.0.2.50", ""}})}, true);
    REQUIRE(controller.shows("192.0.2.50/32"));
  }
  spdlog::set_default_logger(logger);
  const auto lines = text.str();
  const std::string back = "API server: all is well again";
  const auto at = lines.find(back);
  REQUIRE(at != std::string::npos);
  CHECK(lines.find("for 5 s") < at);
  CHECK(lines.find(back, at + 1) == std::string::npos);
}

TEST_CASE("an API server that comes back with the same changes nothing at all", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  run_once(directory.path, {{"192.0.2.50", "default/web"}});
  Controller controller(directory.path);
  controller.put({}, false, {gone});
  REQUIRE(controller.shows("real_server 10.2.0.5 8080"));
  const int before = controller.changes();
  controller.put({entries({{"192.0.2.50", "default/web"}}), node(), web(), slice("10.2.0.5")}, true);
  CHECK(controller.becomes_synced());
  CHECK(controller.changes() == before);
}

TEST_CASE("what is gone when the API server comes back goes", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  run_once(directory.path, {{"192.0.2.50", "default/web"}});
  Controller controller(directory.path);
  controller.put({}, false, {gone});
  REQUIRE(controller.shows("real_server 10.2.0.5 8080"));
  controller.put({entries({{"192.0.2.50", "default/web"}}), node()}, true);
  CHECK(controller.shows("real_server", false));
  CHECK(controller.shows("192.0.2.50/32"));
}

TEST_CASE("a source that says nothing at all is done without after a while", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  run_once(directory.path, {{"192.0.2.50", "default/web"}});
  Controller controller(directory.path, "vips", 1ms);
  CHECK(controller.shows("real_server 10.2.0.5 8080"));
}

TEST_CASE("an API server that answers is waited for: what was kept is not looked at", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  run_once(directory.path, {{"192.0.2.50", "default/web"}});
  Controller controller(directory.path);
  controller.put({entries({{"192.0.2.51", ""}})}, false);
  controller.put({node()}, true);
  REQUIRE(controller.shows("192.0.2.51/32"));
  CHECK(controller.changes() <= 3);
  CHECK(controller.shows("192.0.2.50", false));
}

TEST_CASE("an entry's last good form survives a restart, with and without the API server", "[loop][outage]") {
  for (const bool there : {true, false}) {
    INFO(there);
    const tests::TemporaryDirectory directory;
    {
      Controller controller(directory.path);
      controller.put({entries({{"192.0.2.50", "default/web"}}), node(), web(), slice("10.2.0.5")}, true);
      REQUIRE(controller.shows("10.2.0.5"));
      controller.put({entries({{"192.0.2.50", "no sense"}}), slice("10.2.0.6")}, true);
      REQUIRE(controller.shows("10.2.0.6"));
    }
    Controller controller(directory.path);
    if (there) {
      controller.put({entries({{"192.0.2.50", "no sense"}}), node(), web(), slice("10.2.0.6")}, true);
    } else {
      controller.put({}, false, {gone});
    }
    CHECK(controller.shows("real_server 10.2.0.6 8080"));
  }
}

TEST_CASE("what another configuration left, or is damaged, is not served, and nothing is concluded from it",
          "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  run_once(directory.path, {{"192.0.2.50", "default/web"}});
  const auto serves_nothing = [&](const std::string& config_map) {
    Controller controller(directory.path, config_map, 1ms);
    controller.put({}, false, {gone});
    controller.put({}, false, {gone, {false, "again", "x"}});
    // The last batch was worked in, and still nothing was handed over.
    for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::yield()) {
      if (controller.problems().find("again") != std::string::npos) break;
    }
    CHECK(controller.problems().find("was known at") == std::string::npos);
    return controller.changes() == 0 && controller.status().generation == 0;
  };
  CHECK(serves_nothing("other"));
  std::ofstream(directory.path + "/objects.json", std::ios::app) << "x";
  CHECK(serves_nothing("vips"));
}

TEST_CASE("news of the plan is told once the source has told everything", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  Controller controller(directory.path);
  auto balancer = std::get<objects::Service>(*web().object);
  balancer.type = "LoadBalancer";
  balancer.own_class = true;
  controller.put({entries({{"192.0.2.50", "default/web"}, {"bad", ""}}), node()}, false);
  controller.put({is(Kind::service, "web", balancer), slice("10.2.0.5")}, true);
  REQUIRE(controller.shows("10.2.0.5"));
  REQUIRE(controller.reports(2));
  bool problems = false;
  std::map<std::string, std::optional<plan::LoadBalancerPlan>> balancers;
  for (const auto& news : controller.news()) {
    CHECK(news.has_router);
    CHECK(news.first_in_rank);
    problems = problems || (news.problems && news.problems->size() == 1);
    for (const auto& [service, one] : news.load_balancers) balancers[service] = one;
  }
  CHECK(problems);
  CHECK(balancers.at("default/web")->addresses == std::vector{*IpAddress::parse("192.0.2.50")});
}
