#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace vipkeeper::net {

class EventLoop;

// One deadline on a loop. Used on the loop's thread only; the loop outlives it. The callback may arm, disarm or destroy
// any timer, this one included.
class Timer {
 public:
  Timer(EventLoop& loop, std::function<void()> on_expiry) : loop_(loop), on_expiry_(std::move(on_expiry)) {}
  ~Timer() { disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces the deadline. One that has passed already expires in the loop's next turn, never inside this call.
  void arm(TimePoint deadline);
  void disarm();
  [[nodiscard]] bool armed() const { return deadline_.has_value(); }
  [[nodiscard]] std::optional<TimePoint> deadline() const { return deadline_; }

 private:
  friend class EventLoop;
  EventLoop& loop_;
  std::function<void()> on_expiry_;
  std::optional<TimePoint> deadline_;
  std::multimap<TimePoint, Timer*>::iterator place_;
  std::uint64_t armed_in_turn_ = 0;  // outside of turns: the last one
};

// A single-threaded loop over file descriptors, timers and tasks posted by other threads. Everything but post() and
// stop() belongs to the thread that calls run() (or, before it runs, to the one that made it).
class EventLoop {
 public:
  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `on_readable` in each turn in which `fd` has something to read (or an error to fetch). The fd stays the
  // caller's, who calls unwatch() before closing it.
  Result<void> watch(int fd, std::function<void()> on_readable);
  void unwatch(int fd);

  // Runs `task` on the loop's thread, in the order posted. Any thread. A task posted after stop() is destroyed unrun.
  void post(std::function<void()> task);

  // Called at the end of each turn; true: there is more to do, so the next turn does not sleep.
  void at_turn_end(std::function<bool()> work) { turn_end_ = std::move(work); }

  // The clock as read once at the beginning of this turn.
  [[nodiscard]] TimePoint now() const { return now_; }
  // Reads the clock again: before the first turn, and after work that took long.
  TimePoint refresh_now() { return now_ = Clock::now(); }

  // Turns until stop().
  void run();
  // One turn: sleeps until something is due unless there is more to do. False once stopped.
  bool turn();
  // Any thread; the turn under way is finished.
  void stop();

 private:
  friend class Timer;
  EventLoop(UniqueFd epoll, UniqueFd timer, UniqueFd wake)
      : epoll_(std::move(epoll)), timer_(std::move(timer)), wake_(std::move(wake)) {}
  void read_ready(int timeout);
  void run_posted();
  void run_due();
  void set_kernel_timer();

  UniqueFd epoll_, timer_, wake_;
  TimePoint now_ = Clock::now();
  std::uint64_t turn_ = 0;
  bool more_to_do_ = false;
  std::function<bool()> turn_end_;
  std::unordered_map<int, std::shared_ptr<std::function<void()>>> readers_;
  std::multimap<TimePoint, Timer*> timers_;
  std::optional<TimePoint> kernel_timer_;  // what the timerfd is set to and has not fired yet

  std::mutex mutex_;  // guards the two below
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
};

}  // namespace vipkeeper::net
