#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "controller/kube/loop.h"
#include "controller/kube/tally.h"
#include "controller/kube/transport.h"

namespace vipkeeper::kube {

// One answer for all conversations to "is the API server there?": while nothing answers, one cheap probe (GET /readyz)
// every one to two seconds, whoever waits. A server that answers with 5xx or 429 is on its way up and gets ten seconds
// to become ready before the conversations ask it themselves. Pool thread only.
class ServerGate {
 public:
  struct Options {
    Duration probe_least;
    Duration probe_most;
  };
  struct Listener {
    std::function<void(Duration)> opened;                  // the server answers again, after that time without
    std::function<void(const std::string&)> probe_failed;  // and why
  };
  ServerGate(Transport& transport, Options options, std::uint32_t seed, Listener listener);

  // Somebody got no answer. Probing begins unless it is under way.
  void close();
  [[nodiscard]] bool is_open() const { return open_; }
  // From any thread.
  [[nodiscard]] std::uint64_t outages() const { return outages_.get(); }
  [[nodiscard]] std::uint64_t probes() const { return probes_.get(); }
  // No probe and no call of the listener any more.
  void stop();

 private:
  void schedule();
  void probe();
  void answered(int status);
  void open();

  Transport& transport_;
  Options options_;
  std::minstd_rand random_;
  Listener listener_;
  Timer timer_;
  std::vector<std::shared_ptr<Exchange>> under_way_;  // oldest first
  bool open_ = true;
  TimePoint closed_at_;
  std::optional<TimePoint> first_answer_;
  Tally outages_;
  Tally probes_;
};

}  // namespace vipkeeper::kube
