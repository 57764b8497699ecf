#include "controller/kube/tls.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "controller/kube/access.h"
#include "tests/controller/kube/source_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;

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
  // The library parses these for each connection: nowhere, by default.
  CHECK(std::string(::getenv("SSL_CERT_FILE")) == "/dev/null");
  CHECK(std::string(::getenv("SSL_CERT_DIR")) == "/nonexistent");
  const Pki pki;
  const auto context = server_context(issue(pki.other, "x", "IP:127.0.0.1"));
  Cluster cluster(context.get());
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  config.file("system.crt", pki.other.certificate_pem());
  ::setenv("SSL_CERT_FILE", (config.dir / "system.crt").c_str(), 1);
  Listener listener;
  {
    const auto source = source_for(config.write(cluster.url()));
    source->start(listener.sink());
    CHECK(listener.has_problem("unable to get local issuer certificate"));
    CHECK(cluster.server->requests().empty());
  }
  ::setenv("SSL_CERT_FILE", "/dev/null", 1);
}

TEST_CASE("an IPv6 server is known by its address in the certificate", "[kube][source][tls][addresses]") {
  const Pki pki;
  const bool ours = GENERATE(true, false);
  const auto context = server_context(issue(pki.authority, "x", ours ? "IP:::1" : "IP:::2"));
  FakeApi api;
  api.put("services", "web", service("web", 80));
  ScriptedServer server(api.handler(), context.get(), 0, true);
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  Listener listener;
  const auto source = source_for(config.write("https://[::1]:" + std::to_string(server.port())));
  source->start(listener.sink());
  if (ours) {
    CHECK(listener.sees("Service default/web", "80"));
  } else {
    CHECK(listener.has_problem("IP address mismatch (expected name: ::1)"));
  }
  source->stop();
  api.shut();
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

namespace {

// The connections of two watches, the first of which ended well; between them `meanwhile` happens.
std::vector<std::size_t> connections_of_watches(Cluster& cluster, const ApiServerOptions& options,
                                                const std::function<void()>& meanwhile) {
  cluster.api.next("watch services", [&](auto& connection, const auto&) {
    connection.begin();
    connection.is_gone(1100ms);
    meanwhile();
    connection.end();
  });
  Listener listener;
  const auto source = source_for(options);
  source->start(listener.sink());
  REQUIRE(eventually([&] { return cluster.count("watch services") == 2; }));
  std::vector<std::size_t> found;
  for (const HttpRequest& request : cluster.server->requests()) {
    if (FakeApi::kind_of(request) == "watch services") found.push_back(request.connection);
  }
  CHECK_FALSE(listener.said("does not answer"));
  return found;
}

}  // namespace

TEST_CASE("certificates that were replaced get new connections, and only when they are another and good",
          "[kube][source][tls][rotation]") {
  const Pki pki;
  const Identity client = issue(pki.authority, "vipkeeper", "");
  const Identity next = issue(pki.authority, "vipkeeper", "");
  const auto context = server_context(issue(pki.authority, "x", "IP:127.0.0.1"), &pki.authority);
  Cluster cluster(context.get());
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  config.file("crt", client.certificate_pem());
  config.file("key", client.key_pem());
  const ApiServerOptions options =
      config.write(cluster.url(), "certificate-authority: ca.crt", "{client-certificate: crt, client-key: key}");
  struct Row {
    const char* what;
    std::function<void()> meanwhile;
    bool anew;
  };
  const Row rows[] = {
      {"nothing", [] {}, false},
      {"the same, written again", [&] { config.file("ca.crt", pki.authority.certificate_pem()); }, false},
      {"a broken authority", [&] { config.file("ca.crt", "-----BEGIN"); }, false},
      {"no authority", [&] { std::filesystem::remove(config.dir / "ca.crt"); }, false},
      {"a second authority",
       [&] { config.file("ca.crt", pki.other.certificate_pem() + pki.authority.certificate_pem()); }, true},
      {"half a new pair", [&] { config.file("crt", next.certificate_pem()); }, false},
      {"a new pair",
       [&] {
         config.file("crt", next.certificate_pem());
         config.file("key", next.key_pem());
       },
       true},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    config.file("ca.crt", pki.authority.certificate_pem());
    config.file("crt", client.certificate_pem());
    config.file("key", client.key_pem());
    cluster.down();
    cluster.up();
    const auto connections = connections_of_watches(cluster, options, row.meanwhile);
    REQUIRE(connections.size() == 2);
    CHECK((connections[0] != connections[1]) == row.anew);
  }
}
