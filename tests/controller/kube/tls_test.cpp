#include "controller/kube/tls.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

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
