#pragma once

#include <atomic>

#include "engine/base/clock.h"
#include "engine/net/event_loop.h"

namespace vipkeeper::run {

// Finds out whether a loop's thread still turns, without waking it while nobody asks: each question posts a task, and
// the thread owes an answer until it ran. Any thread asks; the loop outlives this.
class Heartbeat {
 public:
  explicit Heartbeat(net::EventLoop& loop) : loop_(loop) {}

  // False: the thread has owed an answer for ten seconds or more. To be called now and then.
  bool answers(TimePoint at = Clock::now()) {
    const Clock::rep now = at.time_since_epoch().count();
    Clock::rep since = 0;
    if (asked_since_.compare_exchange_strong(since, now)) {
      loop_.post([this] { asked_since_.store(0); });
      return true;
    }
    return Duration(now - since) < std::chrono::seconds(10);
  }

 private:
  net::EventLoop& loop_;
  std::atomic<Clock::rep> asked_since_{0};
};

}  // namespace vipkeeper::run
