#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/published.h"
#include "engine/net/event_loop.h"
#include "engine/router/station.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

// A router's counters, written by the VRRP thread, read by anybody at any time.
class SharedCounters {
 public:
  void store(const router::AgentCounters& counters);
  [[nodiscard]] status::VrrpCounters read() const;

 private:
  std::atomic<std::uint64_t> adverts_received_{0}, adverts_sent_{0}, became_master_{0}, released_master_{0};
  std::atomic<std::uint64_t> priority_zero_received_{0}, priority_zero_sent_{0};
  std::array<std::atomic<std::uint64_t>, 10> discarded_{};  // by vrrp::DropReason
};

// What the VRRP thread shows of its routers and of what stands against them: immutable values, one a router, made anew
// when something of that router changed. status() and problems() from any thread, all else on the VRRP thread.
class RouterPublisher {
 public:
  RouterPublisher(net::EventLoop& loop, router::Station& station);

  void note(const router::Changed& changed);
  // At the end of a turn: publishes what changed. At most a twentieth of the thread's time goes into it: a status with
  // ten thousand addresses takes milliseconds to make.
  void turn_ended();
  // All that changed, now.
  void publish();

  // In the order of the configuration; counters are of this moment.
  [[nodiscard]] std::vector<status::VirtualRouterStatus> status() const;
  [[nodiscard]] std::vector<status::Problem> problems() const { return *problems_.get(); }

 private:
  struct Shown {
    WallTime since{};
    std::deque<status::Transition> transitions;
    std::shared_ptr<SharedCounters> counters = std::make_shared<SharedCounters>();
    std::shared_ptr<const status::VirtualRouterStatus> status;
  };
  struct PublishedRouter {
    std::shared_ptr<const status::VirtualRouterStatus> status;
    std::shared_ptr<const SharedCounters> counters;
  };
  void publish_problems();
  [[nodiscard]] status::VirtualRouterStatus describe(router::RouterNumber number, const Shown& shown) const;

  net::EventLoop& loop_;
  router::Station& station_;
  net::Timer later_, problems_later_;  // the second only wakes the loop, whose turn's end looks
  std::map<router::RouterNumber, Shown> shown_;
  std::set<router::RouterNumber> changed_;
  TimePoint not_before_{}, problems_not_before_{};
  Published<std::vector<PublishedRouter>> published_;
  Published<std::vector<status::Problem>> problems_;
};

}  // namespace vipkeeper::run
