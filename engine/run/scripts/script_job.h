#pragma once

#include <csignal>
#include <functional>

#include "engine/base/clock.h"
#include "engine/net/event_loop.h"
#include "engine/run/scripts/script_process.h"

namespace vipkeeper::run {

// A child under way: who wants to know of its end, and what happens if it does not end. On its loop's thread only,
// which outlives it.
class ScriptJob {
 public:
  using OnEnd = std::function<void(int status)>;

  // After `limit` the child's group gets SIGTERM and `on_limit` is called, two seconds later SIGKILL. `on_end` is
  // called with the status of wait(2), also then.
  ScriptJob(net::EventLoop& loop, ChildProcess child, Duration limit, std::function<void()> on_limit, OnEnd on_end);
  ~ScriptJob() { unwatch(); }
  ScriptJob(const ScriptJob&) = delete;
  ScriptJob& operator=(const ScriptJob&) = delete;

  // Nobody wants the result any more: ends it.
  void abandon();
  void kill() { child_.signal_group(SIGKILL); }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  void terminate();
  void over_limit();
  void look();
  void unwatch();

  net::EventLoop& loop_;
  ChildProcess child_;
  std::function<void()> on_limit_;
  OnEnd on_end_;
  net::Timer limit_, poll_;
  bool polled_ = false;
  bool terminated_ = false;
  bool ended_ = false;
};

}  // namespace vipkeeper::run
