// The operator's door: HTTP on a TCP port for probes, Prometheus and browsers, and the same on a Unix socket
// (/run/vipkeeper/control.sock) for `vipkeeper status` and its kin. One protocol for both, so that
// `curl --unix-socket ... http://vipkeeper/status` works where only curl is at hand.
//
// Threads: one accepting thread a listener and two workers, cpp-httplib's own. They hold no lock of the engine; every
// answer is made from an immutable snapshot. A slow or hostile client costs a worker, never the data path: requests are
// limited in size and time, and keep-alive is short.

#include "controller/report/status_server.h"

#include <fmt/core.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "controller/report/status_table.h"

namespace vipkeeper::report {

namespace {

constexpr const char* plain = "text/plain; charset=utf-8";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// The tables of `vipkeeper status` in a page that renews itself; no scripts, so it works through any proxy and in w3m.
std::string page(const std::string& json) {
  const double now = static_cast<double>(std::time(nullptr));
  const auto table = status_table(json, now, false);
  return "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">"
         "<title>vipkeeper</title><style>body{font-family:sans-serif;margin:2em}pre{font-size:14px;line-height:1.4}"
         "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}</style></head><body>"
         "<h1>vipkeeper</h1><pre>" +
         escaped(table ? *table : table.error().message) +
         "</pre><p><a href=\"/status\">status as JSON</a> | <a href=\"/metrics\">metrics</a> | "
         "<a href=\"/health\">health</a> | <a href=\"/ready\">ready</a></p></body></html>\n";
}

void set_verdict(httplib::Response& response, const Answers::Verdict& verdict, int bad_status) {
  response.status = verdict.good ? 200 : bad_status;
  response.set_content(verdict.good ? "OK" : verdict.reason + "\n", plain);
}

void add_routes(httplib::Server& server, const Answers& answers) {
  server.Get("/health", [answers](const auto&, auto& response) { set_verdict(response, answers.health(), 500); });
  server.Get("/ready", [answers](const auto&, auto& response) { set_verdict(response, answers.ready(), 503); });
  server.Get("/status",
             [answers](const auto&, auto& response) { response.set_content(answers.status(), "application/json"); });
  server.Get("/metrics", [answers](const auto&, auto& response) {
    response.set_content(answers.metrics(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/", [answers](const auto&, auto& response) {
    response.set_content(page(answers.status()), "text/html; charset=utf-8");
  });
}

class HttplibServer : public StatusServer {
 public:
  explicit HttplibServer(Answers answers) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(2); };
    // httplib's default is SO_REUSEPORT, with which a second instance would quietly share the port.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server_.set_keep_alive_max_count(16);
    server_.set_keep_alive_timeout(2);
    server_.set_read_timeout(2);
    server_.set_write_timeout(5);
    server_.set_payload_max_length(4096);
    add_routes(server_, answers);
  }

  ~HttplibServer() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
    if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  }

  HttplibServer(const HttplibServer&) = delete;
  HttplibServer& operator=(const HttplibServer&) = delete;

  [[nodiscard]] int port() const override { return port_; }

  bool bind_tcp(const std::string& address, int port) {
    if (port == 0) {
      port_ = server_.bind_to_any_port(address);
    } else {
      port_ = server_.bind_to_port(address, port) ? port : -1;
    }
    return port_ > 0;
  }

  bool bind_unix(const std::string& path) {
    server_.set_address_family(AF_UNIX);
    // The port is meaningless, but 0 would ask httplib to look one up.
    if (!server_.bind_to_port(path, 1)) return false;
    unix_path_ = path;
    return ::chmod(path.c_str(), 0600) == 0;
  }

  void run() {
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // stop() before the loop is entered would be lost.
    while (!server_.is_running()) std::this_thread::yield();
  }

 private:
  httplib::Server server_;
  std::thread thread_;
  std::string unix_path_;
  int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<StatusServer>> StatusServer::listen_tcp(const std::string& address, int port, Answers answers) {
  auto server = std::make_unique<HttplibServer>(std::move(answers));
  // "::" takes IPv4 too (httplib clears IPV6_V6ONLY); a kernel without IPv6 has only the other one.
  const bool bound = address.empty() ? server->bind_tcp("::", port) || server->bind_tcp("0.0.0.0", port)
                                     : server->bind_tcp(address, port);
  if (!bound) {
    return failure(ErrorCode::io, fmt::format("cannot listen for HTTP on {} port {}: {}; choose another --http-port or "
                                              "--http-address",
                                              address.empty() ? "all addresses" : address, port, std::strerror(errno)));
  }
  server->run();
  return server;
}

Result<std::unique_ptr<StatusServer>> StatusServer::listen_unix(const std::string& path, Answers answers) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return failure(ErrorCode::invalid_input,
                   fmt::format("{}: longer than a Unix socket's name may be; choose a shorter "
                               "--run-dir",
                               path));
  }
  // Not /health, which says 500 where the one that answers is not well.
  if (ask(path, "/metrics")) {
    return failure(ErrorCode::already_exists,
                   fmt::format("{}: another vipkeeper answers there; stop it or choose another --run-dir", path));
  }
  ::unlink(path.c_str());
  auto server = std::make_unique<HttplibServer>(std::move(answers));
  if (!server->bind_unix(path)) {
    return failure(ErrorCode::io, fmt::format("cannot create the control socket {}: {}", path, std::strerror(errno)));
  }
  server->run();
  return server;
}

Result<std::string> ask(const std::string& path, const std::string& target) {
  httplib::Client client(path, 1);
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(2);
  client.set_read_timeout(10);
  const auto response = client.Get(target);
  if (!response) {
    return failure(ErrorCode::unavailable, fmt::format("no vipkeeper answers at {} ({}); is it running, and with this "
                                                       "--run-dir?",
                                                       path, httplib::to_string(response.error())));
  }
  if (response->status != 200) {
    return failure(ErrorCode::unavailable, fmt::format("{}: HTTP {}: {}", target, response->status, response->body));
  }
  return response->body;
}

}  // namespace vipkeeper::report
