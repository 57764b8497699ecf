#include "controller/kube/api_server_source.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/controller/kube/source_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

TEST_CASE("all kinds are listed and watched, each in its scope", "[kube][source]") {
  Cluster cluster;
  cluster.api.put("configmaps", "vips", config_map("1"));
  cluster.api.put("services", "web", service("web", 80));
  cluster.api.put(
      "endpointslices", "web-1",
      object("web-1", R"("addressType":"IPv4","endpoints":[{"addresses":["10.2.0.5"]}],"ports":[{"port":8080}])"));
  cluster.api.put("nodes", "node1", R"({"metadata":{"name":"node1"}})");
  cluster.api.put(
      "pods", "vip-1",
      R"({"kind":"Pod","metadata":{"name":"vip-1","namespace":"kube-system"},"spec":{"nodeName":"node1"}})");
  ApiServerOptions options = options_for(cluster.url());
  options.pod_namespace = "kube-system";
  options.pod_name = "vip-1";
  options.watch_namespace = "default";
  Listener listener;
  const auto source = source_for(options);
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  CHECK(listener.becomes({{map_key, "1"},
                          {"Service default/web", "80"},
                          {"EndpointSlice default/web-1", "there"},
                          {"Node node1", "there"},
                          {"Pod kube-system/vip-1", "node1"}}));
  CHECK(listener.has_no_problem());
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  cluster.api.remove("services", "web");
  CHECK(listener.sees("Service default/web", ""));
  std::set<std::string> paths;
  for (const HttpRequest& request : cluster.server->requests()) {
    paths.insert(request.path());
    CHECK(request.header("accept") == "application/json");
    CHECK(request.header("accept-encoding").empty());
    CHECK(request.header("host") == "127.0.0.1:" + std::to_string(cluster.port));
  }
  CHECK(paths == std::set<std::string>{"/api/v1/namespaces/kube-system/pods/vip-1",
                                       "/api/v1/namespaces/default/configmaps", "/api/v1/nodes",
                                       "/api/v1/namespaces/default/services",
                                       "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"});
  CHECK(source->state().connected);
  CHECK(source->state().counters.at("lists.services") == 1);
  CHECK(eventually([&] { return source->state().counters.at("events.services") == 2; }));
}

TEST_CASE("events split over and packed into chunks arrive", "[kube][source]") {
  Cluster cluster;
  const std::string first =
      R"({"type":"ADDED","object":)" +
      std::string(
          R"({"metadata":{"name":"a","namespace":"default","resourceVersion":"101"},"spec":{"ports":[{"port":1}]}}})") +
      "\n";
  const std::string second =
      R"({"type":"ADDED","object":)" +
      std::string(
          R"({"metadata":{"name":"b","namespace":"default","resourceVersion":"102"},"spec":{"ports":[{"port":2}]}}})") +
      "\n";
  cluster.api.next("watch services", [&](auto& connection, const auto&) {
    connection.begin();
    const std::string both = first + second + first.substr(0, 30);
    for (std::size_t at = 0; at < 40; ++at) connection.chunk(both.substr(at, 1));
    connection.chunk(both.substr(40));
    while (!connection.is_gone(10ms)) {
    }
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  CHECK(listener.becomes({{"Service default/a", "1"}, {"Service default/b", "2"}}));
}

TEST_CASE("a connection cut in the middle of a line loses nothing", "[kube][source]") {
  const bool reset = GENERATE(false, true);
  Cluster cluster;
  cluster.api.put("services", "web", service("web", 80));
  cluster.api.next("watch services", [&](auto& connection, const auto&) {
    connection.begin();
    connection.chunk(R"({"type":"MODIFIED","object":{"metadata":{"name":"web","namesp)");
    connection.close(reset);
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.sees("Service default/web", "80"));
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  CHECK(listener.deletions() == 0);
}

TEST_CASE("an expired version lists again and tells what differs", "[kube][source][410]") {
  Cluster cluster;
  for (const char* name : {"a", "b", "c"}) cluster.api.put("services", name, service(name, 1));
  const bool in_http = GENERATE(false, true);
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  REQUIRE(eventually([&] { return cluster.api.watches("services") == 1; }));
  cluster.api.put_silently("services", "b", service("b", 2));
  cluster.api.remove_silently("services", "c");
  cluster.api.put_silently("services", "d", service("d", 4));
  if (in_http)
    cluster.api.next("watch services", [](auto& connection, const auto&) { connection.answer(410, "gone"); });
  cluster.api.forget_history();
  cluster.down();
  cluster.up();
  CHECK(listener.becomes({{"Service default/a", "1"}, {"Service default/b", "2"}, {"Service default/d", "4"}}));
  CHECK(listener.deletions() == 1);
  CHECK(listener.has_no_problem());
}

TEST_CASE("429 with Retry-After is honoured", "[kube][source][errors]") {
  Cluster cluster;
  TimePoint refused;
  cluster.api.next("list services", [&](auto& connection, const auto&) {
    refused = Clock::now();
    connection.answer(429, "slow down", "Retry-After: 1\r\n");
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.has_problem("429 Too Many Requests: slow down"));
  REQUIRE(listener.syncs());
  CHECK(Clock::now() - refused >= 1s);
  CHECK(listener.has_no_problem());
}

TEST_CASE("a server that is gone changes nothing, and changes flow when it is back", "[kube][source][outage]") {
  Cluster cluster;
  cluster.api.put("configmaps", "vips", config_map("1"));
  cluster.api.put("services", "web", service("web", 80));
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  for (int round = 1; round <= 3; ++round) {
    cluster.down();
    REQUIRE(listener.has_problem("does not answer"));
    CHECK_FALSE(source->state().connected);
    REQUIRE(eventually([&] { return source->state().counters.at("probes") >= 3 * static_cast<unsigned>(round); }));
    cluster.api.put("services", "web", service("web", 80 + round));
    cluster.up();
    REQUIRE(listener.sees("Service default/web", std::to_string(80 + round)));
    REQUIRE(listener.has_no_problem());
    // One, if the watch had lived less than a second.
    CHECK(cluster.count("list services") <= 1);
    CHECK(cluster.count("probe") >= 1);
  }
  CHECK(listener.deletions() == 0);
  CHECK_FALSE(listener.went_back());
  CHECK(source->state().connected);
  CHECK_FALSE(source->state().last_error.empty());
}

TEST_CASE("a server that is not there at start is waited for", "[kube][source][outage]") {
  Cluster cluster;
  cluster.down();
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.has_problem(cluster.url() + " does not answer"));
  CHECK_FALSE(listener.is_synced());
  cluster.up();
  CHECK(listener.syncs());
}

TEST_CASE("a server on its way up, which answers with 503, is asked cheaply until it is ready",
          "[kube][source][outage]") {
  Cluster cluster;
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  cluster.down();
  REQUIRE(listener.has_problem("does not answer"));
  std::atomic<int> refused = 0;
  cluster.api.always([&](auto& connection, const HttpRequest& request) {
    connection.answer(503, "not yet");
    if (FakeApi::kind_of(request) != "probe") return;
    if (++refused == 5) cluster.api.always(nullptr);
  });
  cluster.up();
  cluster.api.put("services", "web", service("web", 80));
  CHECK(listener.sees("Service default/web", "80"));
  CHECK(refused == 5);
  CHECK(cluster.count("list services") <= 1);
}

TEST_CASE("a frozen server is left for a new connection", "[kube][source][outage]") {
  Cluster cluster;
  const auto freeze = [](auto& connection, const auto&) {
    while (!connection.is_gone(10ms)) {
    }
    connection.close();
  };
  ApiServerOptions options = options_for(cluster.url());
  Listener listener;
  SECTION("that accepts and never answers") {
    options.answer_within = 100ms;
    cluster.api.next("list services", freeze);
  }
  SECTION("that goes silent within a list") {
    options.silence = 150ms;
    cluster.api.next("list services", [&](auto& connection, const auto& request) {
      connection.begin();
      connection.chunk("{\"kind\":");
      freeze(connection, request);
    });
  }
  SECTION("that never begins a watch") {
    options.watch_answer_within = 100ms;
    cluster.api.next("watch services", freeze);
  }
  SECTION("that goes silent within a watch") {
    options.watch_silence = 1200ms;
    cluster.api.next("watch services", [&](auto& connection, const auto& request) {
      connection.begin();
      freeze(connection, request);
    });
  }
  const auto source = source_for(options);
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  cluster.api.put("services", "web", service("web", 80));
  CHECK(listener.sees("Service default/web", "80"));
  CHECK(listener.deletions() == 0);
}

TEST_CASE("a redirect is not followed", "[kube][source][safety]") {
  ScriptedServer elsewhere([](auto& connection, const auto&) { connection.answer(200, "{}"); });
  Cluster cluster;
  const std::string location = "Location: http://127.0.0.1:" + std::to_string(elsewhere.port()) + "/\r\n";
  cluster.api.next("list services", [&](auto& connection, const auto&) { connection.answer(307, "", location); });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  CHECK(listener.has_problem("307 Redirect"));
  REQUIRE(listener.syncs());
  CHECK(elsewhere.requests().empty());
}

TEST_CASE("broken HTTP is an error and not the end of the process", "[kube][source][safety]") {
  const char* raw = GENERATE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nxxxx\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\nx", "nonsense\r\n\r\n",
                             "", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"kind\":",
                             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
  const char* kind = GENERATE("list services", "watch services");
  INFO(kind << ": " << raw);
  Cluster cluster;
  cluster.api.put("services", "web", service("web", 80));
  cluster.api.next(kind, [raw](auto& connection, const auto&) {
    connection.send(raw);
    connection.close();
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  CHECK(listener.deletions() == 0);
}

TEST_CASE("a watch whose body has no chunks is read as it comes", "[kube][source]") {
  Cluster cluster;
  cluster.api.next("watch services", [](auto& connection, const auto&) {
    connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    const std::string event =
        R"({"type":"ADDED","object":{"metadata":{"name":"a","namespace":"default","resourceVersion":"101"},"spec":{"ports":[{"port":1}]}}})";
    connection.send(event + std::string(5000, ' ') + "\n" + std::string(5000, '\n'));
    while (!connection.is_gone(10ms)) {
    }
    connection.close();
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  CHECK(listener.sees("Service default/a", "1"));
}

TEST_CASE("the server is known by name and by IPv6 address too", "[kube][source][addresses]") {
  FakeApi api;
  api.put("services", "web", service("web", 80));
  Listener listener;
  SECTION("name") {
    ScriptedServer server(api.handler());
    const auto source = source_for(options_for("http://localhost:" + std::to_string(server.port())));
    source->start(listener.sink());
    CHECK(listener.sees("Service default/web", "80"));
    CHECK(server.requests()[0].header("host") == "localhost:" + std::to_string(server.port()));
    api.shut();
  }
  SECTION("IPv6 address") {
    ScriptedServer server(api.handler(), nullptr, 0, true);
    const auto source = source_for(options_for("http://[::1]:" + std::to_string(server.port())));
    source->start(listener.sink());
    CHECK(listener.sees("Service default/web", "80"));
    CHECK(server.requests()[0].header("host") == "[::1]:" + std::to_string(server.port()));
    api.shut();
  }
  SECTION("a name that does not exist is told") {
    const auto source = source_for(options_for("http://no-such-host.invalid:1"));
    source->start(listener.sink());
    CHECK(listener.has_problem("no-such-host.invalid cannot be looked up"));
  }
}

TEST_CASE("a path prefix comes before every path", "[kube][source]") {
  FakeApi api;
  ScriptedServer server(api.handler());
  Listener listener;
  const auto source = source_for(options_for("http://127.0.0.1:" + std::to_string(server.port()) + "/k8s/c-1/"));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  for (const HttpRequest& request : server.requests()) CHECK_THAT(request.target, Catch::StartsWith("/k8s/c-1/api"));
  api.shut();
}

TEST_CASE("stop returns within a second and nothing is told after it", "[kube][source][stop]") {
  Cluster cluster;
  cluster.api.put("services", "web", service("web", 80));
  Listener listener;
  auto source = source_for(options_for(cluster.url()));
  const auto stops = [&] {
    const TimePoint before = Clock::now();
    source->stop();
    CHECK(Clock::now() - before < 1s);
    const int told = listener.batches();
    cluster.api.put("services", "web", service("web", 99));
    CHECK(listener.batches() == told);
  };
  SECTION("while watches are idle") {
    source->start(listener.sink());
    REQUIRE(listener.syncs());
    stops();
    CHECK(eventually([&] { return cluster.api.watches("services") == 0; }));
  }
  SECTION("at once") {
    source->start(listener.sink());
    stops();
  }
  SECTION("while events flood in") {
    cluster.api.next("watch services", [](auto& connection, const auto&) {
      connection.begin();
      for (int i = 200; !connection.is_gone(0ms); ++i) {
        connection.chunk(
            R"({"type":"MODIFIED","object":{"metadata":{"name":"web","namespace":"default","uid":"u1","resourceVersion":")" +
            std::to_string(i) + R"("},"spec":{"ports":[{"port":5}]}}})" + "\n");
      }
      connection.close();
    });
    source->start(listener.sink());
    REQUIRE(listener.sees("Service default/web", "5"));
    stops();
  }
  SECTION("while nobody answers") {
    cluster.down();
    source->start(listener.sink());
    REQUIRE(listener.has_problem("does not answer"));
    stops();
  }
  SECTION("while an answer is waited for") {
    cluster.api.always([](auto& connection, const auto&) {
      while (!connection.is_gone(10ms)) {
      }
      connection.close();
    });
    source->start(listener.sink());
    REQUIRE(eventually([&] { return !cluster.server->requests().empty(); }));
    stops();
  }
}

TEST_CASE("a hundred rounds of start and stop leave nothing behind", "[kube][source][stop]") {
  Cluster cluster;
  const auto descriptors = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  std::ptrdiff_t before = 0;
  for (int round = 0; round < 100; ++round) {
    Listener listener;
    auto source = source_for(options_for(cluster.url()));
    source->start(listener.sink());
    if (round % 3 != 0) REQUIRE(listener.syncs());
    if (round % 3 == 2) REQUIRE(eventually([&] { return cluster.api.watches("services") == 1; }));
    source->stop();
    if (round == 10) before = descriptors();
  }
  CHECK(eventually([&] { return descriptors() <= before + 5; }));
}

TEST_CASE("the service account's token is sent, and read again when it is refused", "[kube][source][access]") {
  std::string pattern = (fs::temp_directory_path() / "vipkeeper-kube-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  const fs::path dir = pattern;
  std::ofstream(dir / "token") << "old\n";
  FakeApi api;
  std::ofstream(dir / "config") << "x";
  ScriptedServer server([&](auto& connection, const HttpRequest& request) {
    if (request.header("authorization") != "Bearer new") {
      std::ofstream(dir / "token") << "new\n";
      connection.answer(401, R"({"kind":"Status","reason":"Unauthorized","message":"expired"})");
    } else {
      api.handle(connection, request);
    }
  });
  std::ofstream(dir / "config")
      << "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: "
         "k, cluster: {server: 'http://127.0.0.1:"
      << server.port() << "'}}]\nusers: [{name: u, user: {tokenFile: token}}]\n";
  ApiServerOptions options = options_for("");
  options.access.kubeconfig = (dir / "config").string();
  Listener listener;
  const auto source = source_for(options);
  source->start(listener.sink());
  CHECK(listener.syncs());
  CHECK(server.requests()[0].header("authorization") == "Bearer old");
  api.shut();
  source->stop();
  fs::remove_all(dir);
}
