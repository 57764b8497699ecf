#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"
#include "engine/vrrp/advertisement.h"

namespace vipkeeper::vrrp {

// What one virtual router is told to be. A router is (interface, VRID, family); nothing here names a socket.
struct Parameters {
  std::string name;
  std::uint8_t vrid = 0;
  int version = 3;
  std::uint8_t priority = 100;     // configured; effective priority comes as an event
  Duration advert_interval = std::chrono::seconds(1);
  bool preempt = true;
  Duration preempt_delay{0};
  unsigned down_timer_adverts = 3;
  IpAddress source;                // of our own advertisements: the tie-break compares it
  bool operator==(const Parameters&) const = default;
};

// Events. Time is an argument of handle(), never part of an event.
struct Startup {};                                   // interface usable, trackers have spoken
struct Received { Advertisement advertisement; IpAddress sender; };
struct TimerExpired {};                              // next_deadline() has passed
struct EffectivePriorityChanged { std::uint8_t priority; };
struct FaultRaised { std::string reason; };          // interface down, unweighted script failed
struct FaultCleared {};
struct Shutdown {};
struct ParametersChanged { Parameters parameters; }; // reload: same router, state kept
using Event = std::variant<Startup, Received, TimerExpired, EffectivePriorityChanged, FaultRaised, FaultCleared, Shutdown,
                           ParametersChanged>;

enum class State : std::uint8_t { initialize, backup, active, fault };
// keepalived's words: INIT, BACKUP, MASTER, FAULT
std::string_view to_string(State state);

// Actions, to be done in order.
struct SendAdvertisement { std::uint8_t priority; };
struct AddAddresses {};
struct RemoveAddresses {};
struct Announce {};          // gratuitous ARP for every address, `repeat` times, now; the runtime schedules the second block
struct EnterState { State from; State to; std::string reason; };
// A line for the operator in keepalived's words, without time stamp: "(vips) Entering MASTER STATE".
struct LogLine { std::string text; bool warning = false; };
using Action = std::variant<SendAdvertisement, AddAddresses, RemoveAddresses, Announce, EnterState, LogLine>;

// (class VirtualRouter: handle(now, event) -> vector<Action>; next_deadline(); state(); effective_priority();
//  active_router(): the address whose advertisements we follow, or our own)

}  // namespace vipkeeper::vrrp
