// What cpprestsdk gets wrong unless transport.cpp minds it; each case fails without the line that does.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "controller/kube/api_server_source.h"
#include "tests/controller/kube/source_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;

namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

std::uint16_t peer_port(int fd) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  const bool known = ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.sin_family == AF_INET;
  return known ? ntohs(peer.sin_port) : 0;
}

// Of this process, to that port on loopback.
std::vector<int> sockets_to(std::uint16_t port) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(entry.path().filename().c_str());
    if (peer_port(fd) == port) found.push_back(fd);
  }
  return found;
}

// Which threads shut connections to a port down.
std::mutex shutdowns_mutex;
std::uint16_t shutdowns_port = 0;
std::set<pid_t> shutdown_threads;

// A port of loopback where SYNs are dropped: its queue is full and nobody accepts.
class FullPort {
 public:
  FullPort() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_, 0) == 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 8; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
      fillers_.push_back(fd);
    }
  }
  ~FullPort() {
    for (const int fd : fillers_) ::close(fd);
    ::close(listener_);
  }
  FullPort(const FullPort&) = delete;
  FullPort& operator=(const FullPort&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int listener_;
  std::uint16_t port_ = 0;
  std::vector<int> fillers_;
};

// A proxy that takes CONNECT, and hands the bytes on to 127.0.0.1.
class Tunnel {
 public:
  explicit Tunnel(std::uint16_t to) : server_([to](auto& connection, const HttpRequest&) { connection.tunnel(to); }) {}
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }
  // The first request.
  [[nodiscard]] std::string asked() const {
    const auto all = server_.requests();
    return all.empty() ? "" : all.front().method + " " + all.front().target;
  }

 private:
  ScriptedServer server_;
};

}  // namespace

// In the C library's place, for the libraries of this program as well.
extern "C" int shutdown(int fd, int how) noexcept {
  if (const std::uint16_t port = peer_port(fd); port != 0) {
    const std::lock_guard lock(shutdowns_mutex);
    if (port == shutdowns_port) shutdown_threads.insert(::gettid());
  }
  return static_cast<int>(::syscall(SYS_shutdown, fd, how));
}

TEST_CASE("whoever stops it, connections are closed by the library's own thread", "[kube][safety]") {
  const Pki pki;
  const auto context = server_context(issue(pki.authority, "x", "IP:127.0.0.1"));
  Cluster cluster(context.get());
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  Listener listener;
  const auto source = source_for(config.write(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  REQUIRE(eventually([&] { return cluster.api.watches("services") == 1; }));
  {
    const std::lock_guard lock(shutdowns_mutex);
    shutdown_threads.clear();
    shutdowns_port = cluster.port;
  }
  source->stop();
  CHECK(eventually([&] { return sockets_to(cluster.port).empty(); }));
  const std::lock_guard lock(shutdowns_mutex);
  shutdowns_port = 0;
  CHECK(shutdown_threads.size() == 1);
  CHECK_FALSE(shutdown_threads.contains(::gettid()));
}

TEST_CASE("every connection has keepalive and a limit for unanswered data", "[kube][safety]") {
  const Pki pki;
  const auto context = server_context(issue(pki.authority, "x", "IP:127.0.0.1"));
  Cluster cluster(GENERATE(false, true) ? context.get() : nullptr);
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  Listener listener;
  const auto source = source_for(config.write(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  REQUIRE(eventually([&] { return cluster.api.watches("services") == 1; }));
  const auto sockets = sockets_to(cluster.port);
  CHECK(sockets.size() >= 4);
  for (const int fd : sockets) {
    CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 5);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 2);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
    CHECK(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 10'000);
  }
}

TEST_CASE("a peer that vanished without a word is noticed while the watch is quiet", "[kube][safety][outage]") {
  Cluster cluster;
  cluster.api.put("services", "web", service("web", 80));
  std::atomic<bool> vanished = false;
  cluster.api.next("watch services", [&](auto& connection, const auto&) {
    connection.begin();
    connection.vanish();
    vanished = true;
    while (!connection.is_gone(10ms)) {
    }
    connection.close();
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  REQUIRE(eventually([&] { return vanished.load(); }));
  const TimePoint before = Clock::now();
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  CHECK(Clock::now() - before < 15s);
  CHECK(listener.deletions() == 0);
}

TEST_CASE("packets that are dropped while connecting are given up in time", "[kube][safety][outage]") {
  const FullPort full;
  ApiServerOptions options = options_for("http://127.0.0.1:" + std::to_string(full.port()));
  options.answer_within = 100ms;
  options.watch_answer_within = 100ms;
  Listener listener;
  const auto source = source_for(options);
  const TimePoint before = Clock::now();
  source->start(listener.sink());
  CHECK(listener.has_problem("no answer within 0.1 s"));
  CHECK(Clock::now() - before < 5s);
}

TEST_CASE("a watch may be quiet for longer than a list", "[kube][safety]") {
  Cluster cluster;
  ApiServerOptions options = options_for(cluster.url());
  options.silence = 100ms;
  std::atomic<bool> quiet = false;
  cluster.api.next("watch services", [&](auto& connection, const auto&) {
    connection.begin();
    if (connection.is_gone(700ms)) return connection.close();
    quiet = true;
    while (!connection.is_gone(10ms)) {
    }
    connection.close();
  });
  Listener listener;
  const auto source = source_for(options);
  source->start(listener.sink());
  CHECK(eventually([&] { return quiet.load(); }));
  CHECK(cluster.count("watch services") == 1);
}

TEST_CASE("what the library calls the error of a broken connection is not told", "[kube][safety]") {
  Cluster cluster;
  const bool in_a_chunk = GENERATE(false, true);
  const bool reset = GENERATE(false, true);
  cluster.api.always([&](auto& connection, const auto&) {
    if (in_a_chunk) {
      connection.begin();
      connection.send("ff\r\n{\"kind\":");
    }
    connection.close(reset);
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.has_problem("does not answer"));
  // What std::error_code makes of its numbers: "end of stream" is ENOENT or EPERM there.
  for (const int code : {EPERM, ENOENT, ECONNRESET}) CHECK_FALSE(listener.said(std::generic_category().message(code)));
}

TEST_CASE("a redirect within a watch is not followed either", "[kube][safety]") {
  ScriptedServer elsewhere([](auto& connection, const auto&) { connection.answer(200, "{}"); });
  Cluster cluster;
  const std::string location = "Location: http://127.0.0.1:" + std::to_string(elsewhere.port()) + "/\r\n";
  cluster.api.next("watch services", [&](auto& connection, const auto&) { connection.answer(307, "", location); });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  CHECK(listener.has_problem("307 Redirect"));
  REQUIRE(listener.has_no_problem());
  CHECK(elsewhere.requests().empty());
}

TEST_CASE("the way goes through a proxy, with TLS and with keepalive all the same", "[kube][safety][proxy]") {
  const Pki pki;
  const auto context = server_context(issue(pki.authority, "x", "IP:127.0.0.1"));
  Cluster cluster(context.get());
  cluster.api.put("services", "web", service("web", 80));
  Tunnel proxy(cluster.port);
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  Listener listener;
  const std::string host = GENERATE("127.0.0.1", "localhost");
  const auto source = source_for(config.write(cluster.url(), "certificate-authority: ca.crt, proxy-url: 'http://" +
                                                                 host + ":" + std::to_string(proxy.port()) + "'"));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  CHECK(proxy.asked() == "CONNECT 127.0.0.1:" + std::to_string(cluster.port));
  for (const int fd : sockets_to(proxy.port())) CHECK(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 10'000);
  CHECK_FALSE(sockets_to(proxy.port()).empty());
  source->stop();
  cluster.down();
}

TEST_CASE("a proxy that ends quiet watches costs a watch each, and no list, and is no problem",
          "[kube][source][proxy]") {
  Cluster cluster;
  cluster.api.put("services", "web", service("web", 80));
  const bool clean = GENERATE(true, false);
  for (int i = 0; i < 2; ++i) {
    cluster.api.next("watch services", [clean](auto& connection, const auto&) {
      connection.begin();
      connection.is_gone(1100ms);
      if (clean) {
        connection.end();
      } else {
        connection.close();
      }
    });
  }
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(eventually([&] { return cluster.count("watch services") == 3; }));
  CHECK(cluster.count("list services") == 1);
  CHECK_FALSE(listener.said("watch"));
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
}

TEST_CASE("a proxy's own error page is told in one line", "[kube][source][proxy]") {
  Cluster cluster;
  cluster.api.next("list services", [](auto& connection, const auto&) {
    connection.answer(502, "<html>\r\n<body>Bad gateway</body>\r\n</html>\r\n");
  });
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  CHECK(listener.has_problem("list services: 502 Bad Gateway: <html>  <body>Bad gateway</body>  </html>"));
  CHECK(listener.syncs());
}

TEST_CASE("a proxy that holds back the head of a watch's answer until there is a body loses no event",
          "[kube][source][proxy]") {
  Cluster cluster;
  ApiServerOptions options = options_for(cluster.url());
  options.watch_answer_within = 300ms;
  cluster.api.always([&](auto& connection, const HttpRequest& request) {
    if (FakeApi::kind_of(request) != "watch services") return cluster.api.answer(connection, request);
    // Until the next event.
    if (connection.is_gone(500ms)) return connection.close();
    cluster.api.answer(connection, request);
  });
  Listener listener;
  const auto source = source_for(options);
  source->start(listener.sink());
  REQUIRE(eventually([&] { return cluster.count("watch services") >= 2; }));
  cluster.api.put("services", "web", service("web", 80));
  cluster.api.always(nullptr);
  CHECK(listener.sees("Service default/web", "80"));
  CHECK(listener.deletions() == 0);
}

TEST_CASE("lists are streamed where the server does that, and asked for as pages where it fails",
          "[kube][source][watchlist]") {
  Cluster cluster;
  cluster.api.put("services", "web", service("web", 80));
  cluster.api.put("services", "api", service("api", 90));
  const auto streams = GENERATE(FakeApi::Streams::served, FakeApi::Streams::failing, FakeApi::Streams::refused);
  cluster.api.set_streams(streams);
  Listener listener;
  const auto source = source_for(options_for(cluster.url()));
  source->start(listener.sink());
  REQUIRE(listener.syncs());
  CHECK(listener.becomes({{"Service default/web", "80"}, {"Service default/api", "90"}}));
  cluster.api.put("services", "web", service("web", 81));
  CHECK(listener.sees("Service default/web", "81"));
  CHECK(listener.has_no_problem());
  const bool served = streams == FakeApi::Streams::served;
  CHECK(cluster.count("stream services") == 1);
  CHECK(cluster.count("list services") == (served ? 0 : 1));
  CHECK(cluster.count("watch services") == (served ? 0 : 1));
}
