#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>

#include "engine/base/clock.h"

namespace vipkeeper::kube {

// How long to leave a server alone that answers with errors: 0.8 s, doubled each time up to 30 s, shortened by a random
// part of up to a half so that the nodes of a cluster do not come at once; never less than its Retry-After. Two minutes
// without an error start it anew (client-go's reflector does the same).
class Backoff {
 public:
  explicit Backoff(std::minstd_rand& random) : random_(random) {}

  Duration next(TimePoint now, std::optional<std::chrono::seconds> retry_after = std::nullopt) {
    if (last_ && now - *last_ > reset_after + delay_) reset();
    last_ = now;
    std::uniform_real_distribution<double> part(0.5, 1.0);
    const auto jittered = std::chrono::duration_cast<Duration>(delay_ * part(random_));
    delay_ = std::min<Duration>(delay_ * 2, longest);
    return retry_after ? std::max<Duration>(jittered, std::min<Duration>(*retry_after, longest_retry_after)) : jittered;
  }

  void reset() { delay_ = first; }

 private:
  static constexpr Duration first = std::chrono::milliseconds(800);
  static constexpr Duration longest = std::chrono::seconds(30);
  static constexpr Duration reset_after = std::chrono::minutes(2);
  // A broken proxy must not switch the controller off for a day.
  static constexpr Duration longest_retry_after = std::chrono::minutes(5);

  std::minstd_rand& random_;
  Duration delay_ = first;
  std::optional<TimePoint> last_;
};

}  // namespace vipkeeper::kube
