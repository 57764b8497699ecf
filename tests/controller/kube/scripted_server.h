#pragma once

#include <openssl/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace vipkeeper::test {

struct HttpRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::size_t connection = 0;                  // the how many-th it came on
  std::string body;                            // as long as Content-Length says

  [[nodiscard]] std::string path() const { return target.substr(0, target.find('?')); }
  // Of the query, as it was sent; "" if it is not there.
  [[nodiscard]] std::string parameter(const std::string& name) const;
  [[nodiscard]] std::string header(const std::string& name) const;
};

// An HTTP/1.1 server on loopback, a thread a connection, that does exactly what the test says, wrong things included.
class ScriptedServer {
 public:
  class Connection {
   public:
    Connection(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
    void send(std::string_view raw);
    // With Content-Length, or chunked and then chunk() and end().
    void answer(int status, std::string_view body, std::string_view headers = "");
    void begin(int status = 200);
    void chunk(std::string_view bytes);
    void end();
    // Ends the connection after the handler, with RST if `reset`.
    void close(bool reset = false);
    // From now on the kernel of this side takes no packet of the connection, and so answers none.
    void vanish();
    // Agrees to a CONNECT and hands bytes on, both ways, to a port of loopback until one side ends. HTTP only.
    void tunnel(std::uint16_t port);
    // The peer went, or the server is stopping; waits for that or for `limit`.
    bool is_gone(std::chrono::milliseconds limit);

   private:
    friend class ScriptedServer;
    int fd_;
    SSL* ssl_;
    bool closed_ = false;
    bool failed_ = false;
  };
  using Handler = std::function<void(Connection&, const HttpRequest&)>;

  // Port 0: any. `tls`: null for HTTP.
  explicit ScriptedServer(Handler handler, SSL_CTX* tls = nullptr, std::uint16_t port = 0, bool ipv6 = false);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::vector<HttpRequest> requests() const;
  [[nodiscard]] std::size_t connections() const { return connections_; }
  // Every connection is cut; nobody listens on the port any more.
  void stop();

 private:
  struct Session {
    int fd;
    std::thread thread;
    std::atomic<bool> done = false;
  };
  void accept_all();
  void serve(int fd, std::size_t number);
  bool read_request(Connection& connection, std::string& buffer, HttpRequest& request);

  Handler handler_;
  SSL_CTX* tls_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::list<Session> sessions_;
  std::thread acceptor_;
};

}  // namespace vipkeeper::test
