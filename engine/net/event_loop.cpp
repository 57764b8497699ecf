// The loop under the VRRP thread and the script thread: epoll over the descriptors, one timerfd for all timers, one
// eventfd for the other threads.
//
// A turn is: sleep until something is ready; read the clock, once; read every ready descriptor; run what other threads
// posted; run the timers that are due by that one reading; do the work of the turn's end. All decisions of a turn are
// made with the same `now()`.
//
// Descriptors come before timers on purpose. When the process was kept from running (a busy host, SIGSTOP, a slow
// page), both an ADVERTISEMENT and the deadline it moves may be waiting. Judged the other way round, the late process
// would fail over although its peer is alive. For the same reason a turn does not end its reading while epoll still had
// more descriptors than fitted into one answer, and reads again when a timer turns out to be late.
//
// A timer armed during a turn is not run in that turn even if its deadline has passed, so a callback that re-arms
// itself in the past cannot hold the loop.
//
// The timerfd is set only when a deadline comes to lie before the one it waits for: a Backup Router that moves its
// deadline with every ADVERTISEMENT costs no system call for it, and one idle wake-up each time the old deadline
// passes. Both the timerfd and the eventfd are edge-triggered, so neither is ever read.

#include "engine/net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace vipkeeper::net {
namespace {

constexpr auto late = std::chrono::milliseconds(1);

Error system_error(const char* what) {
  return {errno == EPERM || errno == EACCES ? ErrorCode::permission : ErrorCode::io,
          std::string(what) + ": " + std::strerror(errno)};
}

bool add_descriptor(int epoll, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

void Timer::arm(TimePoint deadline) {
  armed_in_turn_ = loop_.turn_;
  if (deadline_ == deadline) return;
  if (deadline_) {
    auto node = loop_.timers_.extract(place_);
    node.key() = deadline;
    place_ = loop_.timers_.insert(std::move(node));
  } else {
    place_ = loop_.timers_.emplace(deadline, this);
  }
  deadline_ = deadline;
}

void Timer::disarm() {
  if (!deadline_) return;
  loop_.timers_.erase(place_);
  deadline_.reset();
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return std::unexpected(system_error("epoll_create1"));
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return std::unexpected(system_error("timerfd_create"));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return std::unexpected(system_error("eventfd"));
  if (!add_descriptor(epoll.get(), timer.get(), EPOLLIN | EPOLLET) ||
      !add_descriptor(epoll.get(), wake.get(), EPOLLIN | EPOLLET)) {
    return std::unexpected(system_error("epoll_ctl"));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(timer), std::move(wake)));
}

EventLoop::~EventLoop() = default;

Result<void> EventLoop::watch(int fd, std::function<void()> on_readable) {
  if (!add_descriptor(epoll_.get(), fd, EPOLLIN)) return std::unexpected(system_error("epoll_ctl"));
  readers_[fd] = std::make_shared<std::function<void()>>(std::move(on_readable));
  return {};
}

void EventLoop::unwatch(int fd) {
  if (readers_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    posted_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full, and so that the loop is woken already.
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::run() {
  while (turn()) {
  }
}

bool EventLoop::turn() {
  ++turn_;
  set_kernel_timer();
  if (more_to_do_) refresh_now();
  read_ready(more_to_do_ ? 0 : -1);
  // Late: what came in between epoll's answer and the reading of the clock has to be seen as well.
  if (!timers_.empty() && timers_.begin()->first + late <= now_) read_ready(0);
  run_posted();
  run_due();
  more_to_do_ = turn_end_ && turn_end_();
  const std::lock_guard lock(mutex_);
  return !stopped_;
}

void EventLoop::set_kernel_timer() {
  if (timers_.empty()) return;
  const TimePoint earliest = timers_.begin()->first;
  if (kernel_timer_ && *kernel_timer_ <= earliest) return;
  // Never 0, which would disarm it.
  const auto nanoseconds = std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::nanoseconds>(earliest.time_since_epoch()).count());
  itimerspec spec{};
  spec.it_value.tv_sec = nanoseconds / 1'000'000'000;
  spec.it_value.tv_nsec = nanoseconds % 1'000'000'000;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  kernel_timer_ = earliest;
}

void EventLoop::read_ready(int timeout) {
  constexpr int at_once = 64;
  std::array<epoll_event, at_once> events;
  // Bounded, so that descriptors under a flood delay the timers but never starve them.
  for (int round = 0; round < 16; ++round) {
    int count = 0;
    do {
      // EINTR comes without any handler, too, when the process was stopped and goes on: the very time to read first.
      count = ::epoll_wait(epoll_.get(), events.data(), at_once, timeout);
    } while (count < 0 && errno == EINTR);
    if (timeout != 0) refresh_now();
    timeout = 0;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == timer_.get()) {
        kernel_timer_.reset();
      } else if (const auto reader = readers_.find(fd); reader != readers_.end()) {
        const auto keep_alive = reader->second;  // the callback may unwatch itself
        (*keep_alive)();
      }
    }
    if (count < at_once) return;
  }
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void EventLoop::run_due() {
  auto next = timers_.begin();
  while (next != timers_.end() && next->first <= now_) {
    Timer& timer = *next->second;
    if (timer.armed_in_turn_ == turn_) {
      ++next;
      continue;
    }
    timer.disarm();
    // A copy, because the callback may destroy its timer.
    const auto on_expiry = timer.on_expiry_;
    on_expiry();
    next = timers_.begin();
  }
}

}  // namespace vipkeeper::net
