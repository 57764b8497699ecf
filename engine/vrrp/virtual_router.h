#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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
  std::uint8_t priority = 100;  // configured, 1..255; the effective priority comes as an event
  Duration advert_interval = std::chrono::seconds(1);
  bool preempt = true;
  Duration preempt_delay{0};
  unsigned down_timer_adverts = 3;
  IpAddress source;  // of our own advertisements: the tie-break compares it
  bool operator==(const Parameters&) const = default;
};

// Events. Time is an argument of handle(), never part of an event.

// The interface is usable and the trackers have spoken. Again after a Shutdown it starts the router anew.
struct Startup {};
// An advertisement that parse_advertisement took, for this router.
struct Received {
  Advertisement advertisement;
  IpAddress sender;
};
// next_deadline() has passed; one that has not is ignored, so a loop may hand it over whenever it likes.
struct TimerExpired {};
// 1..254; an owner (configured priority 255) ignores it.
struct EffectivePriorityChanged {
  std::uint8_t priority = 0;
};
// Interface down, unweighted script failed. `reason` is for people; `script` names the script whose failure it was, if
// so.
struct FaultRaised {
  std::string reason;
  std::string script = {};
  bool operator==(const FaultRaised&) const = default;
};
// No fault is left.
struct FaultCleared {};
// The configuration no longer has the router, or the process ends.
struct Shutdown {};
// Reload: the same router, its state kept. The effective priority moves with the configured one; trackers that say
// otherwise follow with EffectivePriorityChanged.
struct ParametersChanged {
  Parameters parameters;
};
using Event = std::variant<Startup, Received, TimerExpired, EffectivePriorityChanged, FaultRaised, FaultCleared,
                           Shutdown, ParametersChanged>;

enum class State : std::uint8_t { initialize, backup, active, fault };
// keepalived's words: INIT, BACKUP, MASTER, FAULT
std::string_view to_string(State state);

// Actions, to be done in order. Addresses and sending are idempotent wishes: RemoveAddresses also comes where none are
// held (a router that starts, after a crash, may find them).
struct SendAdvertisement {
  std::uint8_t priority = 0;
  bool operator==(const SendAdvertisement&) const = default;
};
struct AddAddresses {
  bool operator==(const AddAddresses&) const = default;
};
struct RemoveAddresses {
  bool operator==(const RemoveAddresses&) const = default;
};
// Gratuitous ARP for every address, `repeat` times, now; the runtime schedules the second block.
struct Announce {
  bool operator==(const Announce&) const = default;
};
// One for each change of state, none where nothing changes. `reason` is for the operator, with the numbers.
struct EnterState {
  State from = State::initialize;
  State to = State::initialize;
  std::string reason;
  bool operator==(const EnterState&) const = default;
};
// A line for the operator in keepalived's words, without time stamp: "(vips) Entering MASTER STATE". `detail`:
// keepalived writes it only with -D.
struct LogLine {
  std::string text;
  bool warning = false;
  bool detail = false;
  bool operator==(const LogLine&) const = default;
};
using Action = std::variant<SendAdvertisement, AddAddresses, RemoveAddresses, Announce, EnterState, LogLine>;

// The state machine of RFC 9568 section 6.4 (RFC 3768 for version 2) with keepalived's additions; see the essay in
// virtual_router.cpp. Values in, values out: no clock, no socket, no log. One thread at a time.
class VirtualRouter {
 public:
  // In Initialize; nothing happens before Startup or FaultRaised.
  explicit VirtualRouter(Parameters parameters);

  // What is to be done, in order; empty where the event means nothing in this state. `now` never goes backwards. When
  // packets and a timer are due in the same turn of the loop, the packets go first: a timer that is served late must
  // not take over from an Active Router whose advertisement is already in the socket.
  std::vector<Action> handle(TimePoint now, const Event& event);

  // When TimerExpired is due; nullopt: never, as things stand. May change with every handle().
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  [[nodiscard]] State state() const;
  // What the next advertisement carries and elections compare.
  [[nodiscard]] std::uint8_t effective_priority() const { return effective_priority_; }
  // Whose advertisements we follow, our own address while Active; nullopt: unknown.
  [[nodiscard]] std::optional<IpAddress> active_router() const;
  // A Backup that discards the advertisements of a lower priority: whose the last one was.
  [[nodiscard]] std::optional<IpAddress> discarded_sender() const;
  [[nodiscard]] const Parameters& parameters() const { return parameters_; }

 private:
  struct Initialize {};
  struct Fault {};
  struct Active {
    TimePoint next_advertisement;  // Adver_Timer
  };
  // Someone whose advertisement was not accepted: when, and what priority.
  struct Discarded {
    IpAddress sender;
    std::uint8_t priority = 0;
  };
  struct Backup {
    TimePoint down;                          // Active_Down_Timer
    Duration active_interval;                // Active_Adver_Interval
    TimePoint heard;                         // when the timer was last set for a whole Active_Down_Interval
    std::optional<IpAddress> active_router;  // of the last accepted advertisement
    std::optional<IpAddress> released_by;    // who announced priority 0; the timer runs for Skew_Time
    std::optional<Discarded> discarded;      // the last one since `heard`
    std::optional<TimePoint> preempt_after;  // preempt_delay runs until then
  };
  struct Turn {  // one call of handle()
    TimePoint now;
    std::vector<Action> actions;
  };

  void on(Turn& turn, const Startup& event);
  void on(Turn& turn, const Received& event);
  void on(Turn& turn, const TimerExpired& event);
  void on(Turn& turn, const EffectivePriorityChanged& event);
  void on(Turn& turn, const FaultRaised& event);
  void on(Turn& turn, const FaultCleared& event);
  void on(Turn& turn, const Shutdown& event);
  void on(Turn& turn, const ParametersChanged& event);

  void received_in_backup(Turn& turn, Backup& backup, const Received& event);
  void received_in_active(Turn& turn, Active& active, const Received& event);
  bool preempts(Turn& turn, Backup& backup) const;
  void follow(Turn& turn, Backup& backup, const Received& event) const;
  void become_active(Turn& turn, std::string reason);
  void become_backup(Turn& turn, std::string reason, const Received* cause);
  void leave_active(Turn& turn, bool announce_priority_zero) const;
  void set_effective_priority(Turn& turn, std::uint8_t priority);
  void log(Turn& turn, std::string_view text) const;
  void log_detail(Turn& turn, std::string_view text) const;

  [[nodiscard]] bool owner() const { return parameters_.priority == 255; }
  [[nodiscard]] Duration skew_time(Duration active_interval) const;
  [[nodiscard]] Duration active_down_interval(Duration active_interval) const;
  [[nodiscard]] Duration running_time(const Backup& backup) const;
  [[nodiscard]] std::string takeover_reason(const Backup& backup, TimePoint now) const;

  Parameters parameters_;
  std::uint8_t effective_priority_;
  std::variant<Initialize, Backup, Active, Fault> state_;
};

}  // namespace vipkeeper::vrrp
