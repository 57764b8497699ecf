#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"

namespace vipkeeper::report {

// What the server answers with. The functions are called on the server's threads, several at once, and must be quick.
struct Answers {
  struct Verdict {
    bool good = true;
    std::string reason;  // why not
  };
  std::function<Verdict()> health;       // is a restart the cure?
  std::function<Verdict()> ready;        // has a desired state been applied once?
  std::function<std::string()> status;   // JSON
  std::function<std::string()> metrics;  // Prometheus text
};

// One HTTP/1.1 listener: GET /health, /ready, /status, /metrics and / (the status page); anything else is 404. It runs
// on threads of its own and reads only what `Answers` hands out, so nothing an operator asks can hold up the data path.
class StatusServer {
 public:
  // `address` empty: all addresses, IPv6 and IPv4 on one socket; port 0: any free one.
  static Result<std::unique_ptr<StatusServer>> listen_tcp(const std::string& address, int port, Answers answers);
  // A Unix socket, mode 0600; a dead one left at `path` by a crash is replaced, a living one is an error.
  static Result<std::unique_ptr<StatusServer>> listen_unix(const std::string& path, Answers answers);
  virtual ~StatusServer() = default;

  // The TCP port, also when 0 was asked for; 0 for a Unix socket.
  [[nodiscard]] virtual int port() const = 0;
};

// GET `target` ("/status") from the running instance behind the control socket at `path`. An Error says that nothing
// runs there, or what it answered instead.
Result<std::string> ask(const std::string& path, const std::string& target);

}  // namespace vipkeeper::report
