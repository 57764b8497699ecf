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
  // `opened` is called when the server answers again, with the time it did not.
  ServerGate(Transport& transport, Options options, std::uint32_t seed, std::function<void(Duration)> opened);

  // Somebody got no answer. Probing begins unless it is under way.
  void close();
  [[nodiscard]] bool is_open() const { return open_; }
  // From any thread.
  [[nodiscard]] std::uint64_t outages() const { return outages_.get(); }
  [[nodiscard]] std::uint64_t probes() const { return probes_.get(); }
  // No probe and no call of `opened` any more.
  void stop();

 private:
  void schedule();
  void probe();
  void answered(int status);
  void open();

  Transport& transport_;
  Options options_;
  std::minstd_rand random_;
  std::function<void(Duration)> opened_;
  Timer timer_;
  std::vector<std::shared_ptr<Exchange>> under_way_;  // oldest first
  bool open_ = true;
  TimePoint closed_at_;
  std::optional<TimePoint> first_answer_;
  Tally outages_;
  Tally probes_;
};

}  // namespace vipkeeper::kube
