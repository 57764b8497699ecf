#include "controller/kube/access.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace vipkeeper;
using namespace vipkeeper::kube;
namespace fs = std::filesystem;

namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "vipkeeper-access-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  [[nodiscard]] std::string string() const { return path_.string(); }

 private:
  fs::path path_;
};

std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: other\n  context: {cluster: x}\n- name: "
         "c\n"
         "  context: {cluster: k, user: u}\nclusters:\n- name: k\n  cluster: " +
         cluster + "\nusers:\n- name: u\n  user: " + user + "\n";
}

}  // namespace

TEST_CASE("a server's URL gives protocol, host, port and prefix", "[kube][access]") {
  struct Row {
    const char* url;
    const char* canonical;
    const char* host;
  };
  const Row good[] = {
      {"https://10.0.0.1:6443", "https://10.0.0.1:6443", "10.0.0.1"},
      {"https://api.example.com", "https://api.example.com:443", "api.example.com"},
      {"http://127.0.0.1:8001/", "http://127.0.0.1:8001", "127.0.0.1"},
      {"https://[fd99::1]:6443/k8s/clusters/c-1/", "https://[fd99::1]:6443/k8s/clusters/c-1", "fd99::1"},
      {"localhost:8080", "http://localhost:8080", "localhost"},
  };
  for (const Row& row : good) {
    INFO(row.url);
    const auto access = parse_server(row.url);
    REQUIRE(access);
    CHECK(access->url() == row.canonical);
    CHECK(access->host == row.host);
  }
  for (const char* bad : {"", "https://", "ftp://x", "https://x:0", "https://x:70000", "https://x:", "https://[fd99::1",
                          "https://[x]:1", "https://u:p@x", "https://a b", "https://fd99::1", "https://x/p?q"}) {
    INFO(bad);
    CHECK_FALSE(parse_server(bad));
  }
}

TEST_CASE("in a pod the service account is the way in", "[kube][access]") {
  const TemporaryDirectory dir;
  dir.write("token", "abc\n");
  dir.write("ca.crt", "PEM");
  AccessOptions options{.service_account_directory = dir.string(), .service_host = "10.96.0.1", .service_port = "443"};
  const auto access = cluster_access(options);
  REQUIRE(access);
  CHECK(access->url() == "https://10.96.0.1:443");
  CHECK(access->token_file == dir.string() + "/token");
  CHECK(access->ca.file == dir.string() + "/ca.crt");

  options.service_host = "fd00::1";
  CHECK(cluster_access(options)->url() == "https://[fd00::1]:443");
  options.service_port = "x";
  CHECK_THAT(cluster_access(options).error().message, Catch::Contains("KUBERNETES_SERVICE_PORT"));
  options.service_port = "";
  CHECK_THAT(cluster_access(options).error().message,
             Catch::Contains("give --kubeconfig, --apiserver-host or --manifests"));
  options.service_port = "443";
  dir.write("token", " \n");
  CHECK_THAT(cluster_access(options).error().message, Catch::Contains("/token: holds no token"));
}

TEST_CASE("a kubeconfig gives server and credentials of its current context", "[kube][access]") {
  const TemporaryDirectory dir;
  const auto read = [&](const std::string& cluster, const std::string& user) {
    return read_kubeconfig(dir.write("config", kubeconfig(cluster, user)));
  };
  const auto access = read("{server: 'https://k:6443', certificate-authority: pki/ca.crt, tls-server-name: kubernetes}",
                           "{client-certificate-data: UEVN, client-key: /abs/key, token: t, tokenFile: tok}");
  REQUIRE(access);
  CHECK(access->url() == "https://k:6443");
  CHECK(access->ca.file == dir.string() + "/pki/ca.crt");
  CHECK(access->tls_server_name == "kubernetes");
  CHECK(access->client_certificate.text == "PEM");
  CHECK(access->client_key.file == "/abs/key");
  CHECK(access->token == "t");
  CHECK(access->token_file == dir.string() + "/tok");

  CHECK(read("{server: 'https://k', certificate-authority-data: UEVN, certificate-authority: x}", "{}")->ca.text ==
        "PEM");
  CHECK(read("{server: 'https://k', insecure-skip-tls-verify: true}", "{username: u, password: p}")->insecure);
  const auto tunnelled = read("{server: 'https://k', proxy-url: 'http://[fd99::1]:3128'}", "{}");
  CHECK(tunnelled->proxy_host == "fd99::1");
  CHECK(tunnelled->proxy_port == 3128);
  CHECK(read("{server: 'https://k'}", "{exec: null, auth-provider: , as: '', as-groups: [], as-user-extra: {}}"));

  struct Row {
    const char* cluster;
    const char* user;
    const char* message;
  };
  const Row bad[] = {
      {"{server: 'https://k'}", "{exec: {command: aws}}", "user.exec: credential plugins are not run"},
      {"{server: 'https://k'}", "{auth-provider: {name: gcp}}", "user.auth-provider"},
      {"{server: 'https://k'}", "{as: root}", "user.as: impersonation"},
      {"{server: 'https://k'}", "{client-key: k}", "client-certificate and client-key go together"},
      {"{server: 'https://k', certificate-authority-data: '%%'}", "{}", "certificate-authority-data: is no base64"},
      {"{server: 'https://k', proxy-url: 'socks5://p'}", "{}", "only http:// proxies"},
      {"{server: 'https://k', proxy-url: 'http://p:0'}", "{}", "proxy-url: server \"http://p:0\": no port"},
      {"{server: 'https://k', insecure-skip-tls-verify: maybe}", "{}", "expected true or false"},
      {"{server: 'https://k', insecure-skip-tls-verify: true, certificate-authority: x}", "{}", "exclude each other"},
      {"{server: ''}", "{}", "cluster.server: missing"},
      {"{server: [a]}", "{}", "server: expected a text"},
      {"{server: 'gopher://k'}", "{}", "neither http nor https"},
  };
  for (const Row& row : bad) {
    INFO(row.message);
    const auto refused = read(row.cluster, row.user);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains(row.message));
  }
  CHECK_THAT(read_kubeconfig(dir.write("c", "a: [\n")).error().message, Catch::StartsWith("line 2: "));
  CHECK_THAT(read_kubeconfig(dir.write("c", "a: b\n")).error().message, Catch::Contains("current-context: missing"));
  CHECK_THAT(read_kubeconfig(dir.write("c", "current-context: x\n")).error().message,
             Catch::Contains("contexts: none has the name \"x\""));
  CHECK_FALSE(read_kubeconfig(dir.string() + "/absent"));
  CHECK_THAT(cluster_access({.kubeconfig = "/nowhere/config"}).error().message,
             Catch::StartsWith("--kubeconfig /nowhere/config: "));
}

TEST_CASE("--apiserver-host takes the place of the kubeconfig's server", "[kube][access]") {
  const TemporaryDirectory dir;
  AccessOptions options{.apiserver_host = "http://127.0.0.1:8001"};
  CHECK(cluster_access(options)->url() == "http://127.0.0.1:8001");
  options.kubeconfig = dir.write("config", kubeconfig("{server: 'https://k:6443'}", "{token: t}"));
  CHECK(cluster_access(options)->url() == "http://127.0.0.1:8001");
  CHECK(cluster_access(options)->token == "t");
}

TEST_CASE("a token's file is read again after its time, or when it was refused, and kept if that fails",
          "[kube][access]") {
  const TemporaryDirectory dir;
  ClusterAccess access;
  access.token = "fixed";
  CHECK(*TokenSource(access).token(TimePoint{}) == "fixed");
  access.token_file = dir.write("token", "one\n");
  TokenSource tokens(access);
  const TimePoint start{std::chrono::seconds(1000)};
  CHECK(*tokens.token(start) == "one");
  dir.write("token", "two");
  CHECK(*tokens.token(start + std::chrono::seconds(49)) == "one");
  CHECK(*tokens.token(start + std::chrono::seconds(51)) == "two");
  dir.write("token", "three");
  tokens.refused();
  CHECK(*tokens.token(start + std::chrono::seconds(52)) == "three");
  dir.write("token", "");
  tokens.refused();
  CHECK(*tokens.token(start + std::chrono::seconds(53)) == "three");
  fs::remove(dir.string() + "/token");
  CHECK(*tokens.token(start + std::chrono::hours(1)) == "three");
}

TEST_CASE("base64 both ways", "[kube][access]") {
  for (const char* text : {"", "a", "ab", "abc", "user:password"}) CHECK(*decode_base64(encode_base64(text)) == text);
  CHECK(*decode_base64("YW\nJj\n") == "abc");
  CHECK_FALSE(decode_base64("abc"));
  CHECK_FALSE(decode_base64("!!!!"));
}
