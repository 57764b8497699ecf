#include "controller/kube/api_server_source.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <variant>

#include "controller/kube/loop.h"
#include "tests/controller/kube/certificates.h"
#include "tests/controller/kube/fake_api.h"
#include "tests/controller/kube/scripted_server.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string object(const std::string& name, const std::string& rest, const std::string& uid = "u1") {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"default","uid":")" + uid + R"("})" +
         (rest.empty() ? "" : "," + rest) + "}";
}
std::string config_map(const std::string& value, const std::string& uid = "u1") {
  return object("vips", R"("data":{"v":")" + value + R"("})", uid);
}
std::string service(const std::string& name, int port) {
  return object(name, R"("spec":{"clusterIP":"10.96.0.9","ports":[{"port":)" + std::to_string(port) + "}]}");
}

// What a source has told.
class Listener {
 public:
  objects::ObjectSource::Sink sink() {
    return [this](objects::ObjectBatch batch) {
      const std::lock_guard lock(mutex_);
      for (const objects::ObjectChange& change : batch.changes) {
        if (change.object) {
          objects_[change.key.to_string()] = text_of(*change.object);
        } else {
          objects_.erase(change.key.to_string());
          ++deletions_;
        }
      }
      went_back_ = went_back_ || (synced_ && !batch.synced);
      synced_ = batch.synced;
      problems_ = batch.problems;
      ++batches_;
      changed_.notify_all();
    };
  }
  using State = std::map<std::string, std::string>;
  bool syncs() {
    return wait([&] { return synced_; });
  }
  bool becomes(const State& state) {
    return wait([&] { return objects_ == state; });
  }
  // The object comes to have the value; "" to be absent.
  bool sees(const std::string& key, const std::string& value) {
    return wait([&] { return (objects_.contains(key) ? objects_[key] : "") == value; });
  }
  bool has_problem(const std::string& part) {
    return wait([&] {
      return std::ranges::any_of(problems_, [&](const auto& p) { return p.message.find(part) != std::string::npos; });
    });
  }
  bool has_no_problem() {
    return wait([&] { return problems_.empty(); });
  }
  int deletions() { return read(deletions_); }
  int batches() { return read(batches_); }
  bool is_synced() { return read(synced_); }
  bool went_back() { return read(went_back_); }

 private:
  static std::string text_of(const objects::Object& object) {
    if (const auto* map = std::get_if<objects::ConfigMap>(&object)) return map->data.at("v");
    if (const auto* one = std::get_if<objects::Service>(&object)) return std::to_string(one->ports.at(0).port);
    if (const auto* pod = std::get_if<objects::Pod>(&object)) return pod->node_name;
    return "there";
  }
  template <class T>
  T read(const T& value) {
    const std::lock_guard lock(mutex_);
    return value;
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, condition);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  State objects_;
  bool synced_ = false;
  bool went_back_ = false;
  int deletions_ = 0;
  int batches_ = 0;
  std::vector<objects::SourceProblem> problems_;
};

template <class Condition>
bool eventually(Condition condition) {
  for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::yield()) {
    if (condition()) return true;
  }
  return false;
}

ApiServerOptions options_for(const std::string& url) {
  initialize();
  ApiServerOptions options;
  options.access.apiserver_host = url;
  options.config_map_namespace = "default";
  options.config_map_name = "vips";
  options.probe_least = 20ms;
  options.probe_most = 40ms;
  return options;
}

std::unique_ptr<ApiServerSource> source_for(const ApiServerOptions& options) {
  auto source = ApiServerSource::create(options);
  REQUIRE(source);
  return *std::move(source);
}

// A fake API server on a port, that can be stopped and come back.
struct Cluster {
  explicit Cluster(SSL_CTX* context = nullptr) : tls(context) { up(); }
  ~Cluster() { down(); }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  void up() {
    api.reopen();
    server = std::make_unique<ScriptedServer>(api.handler(), tls, port);
    port = server->port();
  }
  void down() {
    api.shut();
    server.reset();
  }
  [[nodiscard]] std::string url() const {
    return (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
  }
  [[nodiscard]] int count(const std::string& kind) const {
    const auto all = server->requests();
    return static_cast<int>(std::ranges::count_if(all, [&](const auto& r) { return FakeApi::kind_of(r) == kind; }));
  }

  FakeApi api;
  SSL_CTX* tls;
  std::uint16_t port = 0;
  std::unique_ptr<ScriptedServer> server;
};

const std::string map_key = "ConfigMap default/vips";

}  // namespace

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

namespace {

struct Pki {
  Identity authority = make_authority("cluster-ca");
  Identity other = make_authority("other-ca");
};

// A kubeconfig with these fields, beside a ca.crt of the authority.
struct Config {
  Config() {
    std::string pattern = (fs::temp_directory_path() / "vipkeeper-tls-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    dir = pattern;
  }
  ~Config() { fs::remove_all(dir); }
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;
  void file(const std::string& name, const std::string& text) const { std::ofstream(dir / name) << text; }
  [[nodiscard]] ApiServerOptions write(const std::string& server,
                                       const std::string& cluster = "certificate-authority: ca.crt",
                                       const std::string& user = "{}") const {
    file("config",
         "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: "
         "{server: '" +
             server + "', " + cluster + "}}]\nusers: [{name: u, user: " + user + "}]\n");
    ApiServerOptions options = options_for("");
    options.access.kubeconfig = (dir / "config").string();
    return options;
  }
  fs::path dir;
};

}  // namespace

TEST_CASE("a server's certificate must be of the authority and have the name", "[kube][source][tls]") {
  const Pki pki;
  struct Row {
    const char* names;
    const char* common_name;
    bool ours;
    int days;
    const char* cluster;
    const char* refusal;  // null: accepted
  };
  const Row rows[] = {
      {"IP:127.0.0.1", "x", true, 1, "certificate-authority: ca.crt", nullptr},
      {"DNS:kubernetes", "x", true, 1, "certificate-authority: ca.crt, tls-server-name: kubernetes", nullptr},
      {"DNS:*.svc.local", "x", true, 1, "certificate-authority: ca.crt, tls-server-name: a.svc.local", nullptr},
      {"IP:127.0.0.1", "x", false, 1, "insecure-skip-tls-verify: true", nullptr},
      {"IP:127.0.0.1", "x", false, 1, "certificate-authority: ca.crt", "unable to get local issuer certificate"},
      {"IP:127.0.0.1", "x", true, 1, "tls-server-name: 127.0.0.1", "unable to get local issuer certificate"},
      {"IP:127.0.0.2", "x", true, 1, "certificate-authority: ca.crt", "IP address mismatch (expected name: 127.0.0.1)"},
      {"DNS:foo.example", "kubernetes", true, 1, "certificate-authority: ca.crt, tls-server-name: kubernetes",
       "hostname mismatch"},
      {"", "kubernetes", true, 1, "certificate-authority: ca.crt, tls-server-name: kubernetes", "hostname mismatch"},
      {"IP:127.0.0.1", "x", true, -1, "certificate-authority: ca.crt", "certificate has expired"},
      {"IP:127.0.0.1", "x", true, 1, "certificate-authority: absent.crt", "absent.crt: No such file or directory"},
      {"IP:127.0.0.1", "x", true, 1, "certificate-authority: config", "no certificate in PEM form"},
  };
  for (const Row& row : rows) {
    INFO(row.names << " | " << row.cluster);
    const Identity server = issue(row.ours ? pki.authority : pki.other, row.common_name, row.names, row.days);
    const auto context = server_context(server);
    Cluster cluster(context.get());
    const Config config;
    config.file("ca.crt", pki.authority.certificate_pem());
    Listener listener;
    const auto source = source_for(config.write(cluster.url(), row.cluster));
    source->start(listener.sink());
    if (row.refusal == nullptr) {
      CHECK(listener.syncs());
    } else {
      CHECK(listener.has_problem(row.refusal));
      CHECK_FALSE(listener.is_synced());
      CHECK(cluster.server->requests().empty());
    }
  }
}

TEST_CASE("the system's authorities are not trusted beside the cluster's", "[kube][source][tls]") {
  initialize();
  CHECK(std::string(::getenv("SSL_CERT_FILE")) == "/dev/null");
}

TEST_CASE("a client certificate is shown, from files or from data", "[kube][source][tls]") {
  const Pki pki;
  const Identity client = issue(pki.authority, "vipkeeper", "");
  const Identity server = issue(pki.authority, "x", "IP:127.0.0.1");
  const auto context = server_context(server, &pki.authority);
  Cluster cluster(context.get());
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  config.file("crt", client.certificate_pem());
  config.file("key", client.key_pem());
  Listener listener;
  SECTION("files") {
    const auto source = source_for(
        config.write(cluster.url(), "certificate-authority: ca.crt", "{client-certificate: crt, client-key: key}"));
    source->start(listener.sink());
    CHECK(listener.syncs());
  }
  SECTION("data") {
    const auto source = source_for(
        config.write(cluster.url(), "certificate-authority-data: " + encode_base64(pki.authority.certificate_pem()),
                     "{client-certificate-data: " + encode_base64(client.certificate_pem()) +
                         ", client-key-data: " + encode_base64(client.key_pem()) + "}"));
    source->start(listener.sink());
    CHECK(listener.syncs());
  }
  SECTION("a key that does not fit is told") {
    config.file("key", server.key_pem());
    const auto source = source_for(
        config.write(cluster.url(), "certificate-authority: ca.crt", "{client-certificate: crt, client-key: key}"));
    source->start(listener.sink());
    CHECK(listener.has_problem("client certificate and key: key values mismatch"));
  }
  SECTION("none is refused by the server") {
    const auto source = source_for(config.write(cluster.url()));
    source->start(listener.sink());
    CHECK(listener.has_problem("does not answer"));
  }
}

TEST_CASE("an authority that is replaced in its file is taken at the next connection",
          "[kube][source][tls][rotation]") {
  const Pki pki;
  const Identity old_server = issue(pki.authority, "x", "IP:127.0.0.1");
  const Identity new_server = issue(pki.other, "x", "IP:127.0.0.1");
  const auto old_context = server_context(old_server);
  const auto new_context = server_context(new_server);
  Cluster cluster(old_context.get());
  cluster.api.put("services", "web", service("web", 80));
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  Listener listener;
  const auto source = source_for(config.write(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  cluster.down();
  cluster.tls = new_context.get();
  cluster.up();
  REQUIRE(listener.has_problem("the server's certificate is refused"));
  // Half-written: the old one stands.
  config.file("ca.crt", "");
  REQUIRE(listener.has_problem("the server's certificate is refused"));
  config.file("ca.crt", pki.other.certificate_pem());
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  CHECK(listener.deletions() == 0);
}
