#include "engine/run/scripts/script_job.h"

#include <chrono>
#include <utility>

namespace vipkeeper::run {
namespace {

constexpr auto grace = std::chrono::seconds(2);                // between SIGTERM and SIGKILL
constexpr auto reap_interval = std::chrono::milliseconds(20);  // only without pidfd

}  // namespace

ScriptJob::ScriptJob(net::EventLoop& loop, ChildProcess child, Duration limit, std::function<void()> on_limit,
                     OnEnd on_end)
    : loop_(loop),
      child_(std::move(child)),
      on_limit_(std::move(on_limit)),
      on_end_(std::move(on_end)),
      limit_(loop, [this] { over_limit(); }),
      poll_(loop, [this] { look(); }) {
  limit_.arm(loop.now() + limit);
  if (child_.pidfd() < 0 || !loop.watch(child_.pidfd(), [this] { look(); })) {
    poll_.arm(loop.now() + reap_interval);
    polled_ = true;
  }
}

void ScriptJob::abandon() {
  on_limit_ = nullptr;
  on_end_ = nullptr;
  terminate();
}

void ScriptJob::terminate() {
  if (ended_ || terminated_) return;
  terminated_ = true;
  child_.signal_group(SIGTERM);
  limit_.arm(loop_.now() + grace);
}

void ScriptJob::over_limit() {
  if (terminated_) return kill();
  terminate();
  if (on_limit_) on_limit_();
}

void ScriptJob::look() {
  const auto status = child_.reap();
  if (!status) {
    if (polled_) poll_.arm(loop_.now() + reap_interval);
    return;
  }
  ended_ = true;
  unwatch();
  limit_.disarm();
  if (on_end_) on_end_(*status);
}

void ScriptJob::unwatch() {
  if (!polled_ && child_.pidfd() >= 0) loop_.unwatch(child_.pidfd());
  polled_ = true;
}

}  // namespace vipkeeper::run
