#include <catch2/catch.hpp>
#include <string>

#include "controller/kube/api_server_source.h"
#include "tests/controller/kube/source_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;

namespace {

std::string endpoints_of(const std::string& name) {
  return object(name, R"("subsets":[{"addresses":[{"ip":"10.2.0.5"}],"ports":[{"port":8080}]}])");
}
const std::string slice =
    object("web-1", R"("addressType":"IPv4","endpoints":[{"addresses":["10.2.0.5"]}],"ports":[{"port":8080}])");

// A cluster whose EndpointSlices are refused, until they are allowed.
struct Guarded : Cluster {
  explicit Guarded(int with) : status(with) {
    api.put("services", "web", service("web", 80));
    api.put("endpoints", "web", endpoints_of("web"));
    api.put("endpointslices", "web-1", slice);
    api.always([this](auto& connection, const HttpRequest& request) {
      if (status != 0 && request.path().find("endpointslices") != std::string::npos) {
        connection.answer(status, "refused by the test");
      } else {
        api.answer(connection, request);
      }
    });
  }
  std::atomic<int> status;
};

}  // namespace

TEST_CASE("where EndpointSlices are forbidden or absent Endpoints stand in, said once, until slices appear",
          "[kube][source][endpoints]") {
  const int status = GENERATE(403, 404);
  Guarded cluster(status);
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  REQUIRE(listener.becomes({{"Service default/web", "80"}, {"Endpoints default/web", "there"}}));
  REQUIRE(listener.has_problem("EndpointSlices cannot be listed (" + std::to_string(status)));
  CHECK(listener.problems() == 1);
  CHECK(listener.errors() == 0);
  CHECK_FALSE(listener.said("list endpointslices"));
  cluster.api.put("endpoints", "api", endpoints_of("api"));
  REQUIRE(listener.sees("Endpoints default/api", "there"));
  CHECK(listener.deletions() == 0);

  cluster.status = 0;
  REQUIRE(listener.becomes({{"Service default/web", "80"}, {"EndpointSlice default/web-1", "there"}}));
  CHECK(listener.has_no_problem());
  // At no moment was there neither.
  CHECK(listener.least("Endpoint") >= 1);
  REQUIRE(eventually([&] { return cluster.api.watches("endpoints") == 0; }));
}

TEST_CASE("slices that were seen once are kept when they are forbidden, and Endpoints are not asked for",
          "[kube][source][endpoints]") {
  Guarded cluster(0);
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  REQUIRE(eventually([&] { return cluster.api.watches("endpointslices") == 1; }));
  cluster.status = 403;
  cluster.down();
  cluster.up();
  REQUIRE(listener.has_problem("list endpointslices: 403 Forbidden"));
  CHECK(cluster.count("list endpoints") == 0);
  CHECK(listener.deletions() == 0);
  CHECK_FALSE(listener.went_back());
  cluster.status = 0;
  CHECK(listener.has_no_problem());
}

TEST_CASE("where Endpoints are forbidden as well both are told, and nothing counts as known",
          "[kube][source][endpoints]") {
  Guarded cluster(403);
  cluster.api.next("list endpoints", [](auto& connection, const auto&) { connection.answer(403, "nor these"); });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.has_problem("list endpoints: 403 Forbidden: nor these"));
  CHECK(listener.has_problem("list endpointslices: 403 Forbidden"));
  CHECK_FALSE(listener.is_synced());
  CHECK(listener.syncs());
}
