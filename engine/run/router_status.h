#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

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

// What is shown of a router beyond what it knows itself: when it changed its state.
struct RouterHistory {
  WallTime since{};
  std::deque<status::Transition> transitions;
  std::shared_ptr<SharedCounters> counters = std::make_shared<SharedCounters>();

  void note(const router::Transition& transition, WallTime at);
};

// Without counters.
status::VirtualRouterStatus describe(const router::Station& station, router::RouterNumber number,
                                     const RouterHistory& history);

}  // namespace vipkeeper::run
