#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/vrrp/virtual_router.h"
#include "tests/engine/vrrp/packets.h"

// Routers in a known state, and actions in words short enough for a table.
namespace vipkeeper::vrrp::test {

using namespace std::chrono_literals;

// The moment every test starts at.
inline const TimePoint start{1000s};

// "vips", VRID 50, version 3, priority 100, 10.0.0.2, 1 s: skew 609.375 ms, Active_Down_Interval 3609.375 ms.
inline Parameters parameters() {
  Parameters result;
  result.name = "vips";
  result.vrid = 50;
  result.source = ip("10.0.0.2");
  return result;
}

inline Received advert(int priority, std::string_view sender, Duration interval = 1s) {
  Advertisement advertisement;
  advertisement.vrid = 50;
  advertisement.priority = static_cast<std::uint8_t>(priority);
  advertisement.interval = interval;
  advertisement.addresses = {ip("10.0.0.50")};
  return {std::move(advertisement), ip(sender)};
}

inline constexpr Duration skew_100 = 609375us;
inline constexpr Duration down_100 = 3s + skew_100;

inline VirtualRouter in_initialize(Parameters told = parameters()) { return VirtualRouter(std::move(told)); }

// Started at `start`; it has heard nobody.
inline VirtualRouter in_backup(Parameters told = parameters()) {
  VirtualRouter router(std::move(told));
  router.handle(start, Startup{});
  return router;
}

// Active since `start`.
inline VirtualRouter in_active(Parameters told = parameters()) {
  VirtualRouter router(std::move(told));
  router.handle(start - 1h, Startup{});
  router.handle(start, TimerExpired{});
  return router;
}

inline VirtualRouter in_fault(Parameters told = parameters()) {
  VirtualRouter router(std::move(told));
  router.handle(start, Startup{});
  router.handle(start, FaultRaised{"interface eth0 is down"});
  return router;
}

// "send 100; add; announce; INIT>BACKUP": what is done, lines for the log left out.
inline std::string spell(const std::vector<Action>& actions) {
  struct Speller {
    std::string operator()(const SendAdvertisement& send) const { return "send " + std::to_string(send.priority); }
    std::string operator()(const AddAddresses&) const { return "add"; }
    std::string operator()(const RemoveAddresses&) const { return "remove"; }
    std::string operator()(const Announce&) const { return "announce"; }
    std::string operator()(const EnterState& enter) const {
      return std::string(to_string(enter.from)) + ">" + std::string(to_string(enter.to));
    }
    std::string operator()(const LogLine&) const { return {}; }
  };
  std::string text;
  for (const Action& action : actions) {
    const std::string word = std::visit(Speller{}, action);
    if (word.empty()) continue;
    if (!text.empty()) text += "; ";
    text += word;
  }
  return text;
}

// The lines for the log, one after the other; "-D " before those that keepalived writes only with -D, "! " before
// warnings.
inline std::vector<std::string> lines(const std::vector<Action>& actions) {
  std::vector<std::string> result;
  for (const Action& action : actions) {
    if (const auto* line = std::get_if<LogLine>(&action)) {
      result.push_back((line->detail ? "-D " : line->warning ? "! " : "") + line->text);
    }
  }
  return result;
}

// The reason of the one change of state among the actions; "" if there is none.
inline std::string reason(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    if (const auto* enter = std::get_if<EnterState>(&action)) return enter->reason;
  }
  return {};
}

}  // namespace vipkeeper::vrrp::test
