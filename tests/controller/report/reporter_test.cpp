#include "controller/report/reporter.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

using namespace vipkeeper;
using namespace vipkeeper::report;
using namespace std::chrono_literals;

namespace {

const Reporting who = {
    .node = "node1", .config_map_namespace = "default", .config_map_name = "vips", .pod_namespace = "", .pod_name = ""};
const std::vector<status::Problem> of_cluster = {{true, "ConfigMap default/vips key 10.0.0.50", "no Service"}};

// The API server and the engine as a reporter sees them.
class World {
 public:
  ReporterEdges edges() {
    return {.send =
                [this](const ApiRequest& request, const std::function<void(ApiAnswer)>& listener) {
                  const std::lock_guard lock(mutex_);
                  under_way_ = std::max(under_way_, ++now_under_way_);
                  if (request.method != "GET") requests_.push_back(request);
                  changed_.notify_all();
                  if (silent_) return;
                  --now_under_way_;
                  listener({.status = status_, .text = "no"});
                },
            .read_host =
                [this] {
                  const std::lock_guard lock(mutex_);
                  return host_;
                },
            .look = 2ms};
  }
  void host(HostReport report) {
    const std::lock_guard lock(mutex_);
    host_ = std::move(report);
  }
  void answers(int status) {
    const std::lock_guard lock(mutex_);
    status_ = status;
  }
  void falls_silent() {
    const std::lock_guard lock(mutex_);
    silent_ = true;
  }
  // Writes once there are so many; all of them.
  std::vector<ApiRequest> requests(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return requests_.size() >= count; });
    return requests_;
  }
  int most_under_way() {
    const std::lock_guard lock(mutex_);
    return under_way_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  HostReport host_;
  int status_ = 201;
  bool silent_ = false;
  int now_under_way_ = 0;
  int under_way_ = 0;
  std::vector<ApiRequest> requests_;
};

template <class Condition>
bool eventually(Condition condition) {
  for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::yield()) {
    if (condition()) return true;
  }
  return false;
}

bool has(const std::vector<ApiRequest>& requests, const std::string& part) {
  return std::ranges::any_of(requests, [&](const auto& one) { return one.body.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("the holder tells of it, and of the cluster's problems", "[report][reporter]") {
  World world;
  Reporter reporter(who, world.edges(), 1);
  reporter.plan_changed({.problems = of_cluster, .has_router = true, .first_in_rank = true});
  world.host({{{true, "IPVS", "none"}}, {{"vips", "BACKUP"}}});
  // Its own problem alone, as long as it is a Backup Router.
  auto requests = world.requests(1);
  REQUIRE(requests.size() == 1);
  CHECK(has(requests, "IPVS: none"));
  world.host({{{true, "IPVS", "none"}}, {{"vips", "MASTER"}}});
  requests = world.requests(3);
  REQUIRE(requests.size() == 3);
  CHECK(has(requests, "BecameMaster"));
  CHECK(has(requests, "10.0.0.50: no Service"));
  world.host({{}, {{"vips", "BACKUP"}}});
  CHECK(has(world.requests(4), "ReleasedMaster"));
  CHECK(world.most_under_way() == 1);
}

TEST_CASE("without a virtual router the first in rank speaks for the cluster", "[report][reporter]") {
  for (const bool first : {true, false}) {
    INFO(first);
    World world;
    Reporter reporter(who, world.edges(), 1);
    reporter.plan_changed({.problems = of_cluster, .has_router = false, .first_in_rank = first});
    reporter.plan_changed({.problems = std::vector<status::Problem>{{true, "Node node1", "odd"}, of_cluster[0]}});
    const auto requests = world.requests(first ? 2 : 1);
    CHECK(has(requests, "node1: odd"));
    CHECK(has(requests, "no Service") == first);
  }
}

TEST_CASE("the holder alone writes the status of Services", "[report][reporter]") {
  World world;
  Reporter reporter(who, world.edges(), 1);
  reporter.plan_changed({.ingress = {{"default/web", ServiceIngress{{"10.0.0.50"}, false}}}});
  world.host({{{true, "IPVS", "none"}}, {{"vips", "BACKUP"}}});
  REQUIRE(world.requests(1).size() == 1);
  CHECK_FALSE(has(world.requests(1), "ingress"));
  world.host({{}, {{"vips", "MASTER"}}});
  CHECK(has(world.requests(3), R"("ip":"10.0.0.50")"));
}

TEST_CASE("what is forbidden becomes one problem, and goes with the right", "[report][reporter]") {
  World world;
  world.answers(403);
  Reporter reporter(who, world.edges(), 1);
  world.host({{{true, "IPVS", "none"}}, {}});
  CHECK(eventually([&] { return reporter.problems().size() == 1; }));
  CHECK(reporter.problems()[0].message.find("events.k8s.io") != std::string::npos);
  CHECK(reporter.counters().at("events_written") == 0);
}

TEST_CASE("an API server that never answers holds up nobody, and stopping does not wait for it", "[report][reporter]") {
  World world;
  world.falls_silent();
  auto reporter = std::make_unique<Reporter>(who, world.edges(), 1);
  world.host({{{true, "IPVS", "none"}}, {{"vips", "MASTER"}}});
  const auto began = Clock::now();
  for (int i = 0; i < 10'000; ++i) {
    reporter->plan_changed({.problems = std::vector<status::Problem>{
                                {true, "ConfigMap default/vips key " + std::to_string(i), "no Service"}}});
  }
  CHECK(Clock::now() - began < 10s);
  CHECK(eventually([&] { return reporter->counters().contains("events_dropped"); }));
  reporter->stop();
  CHECK(world.most_under_way() <= 1);
}
