#include "engine/vrrp/virtual_router.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// One virtual router of RFC 9568 section 6.4, as a value that turns (time, event) into actions.
//
// It owns the state, the effective priority and the deadlines of the state it is in, nothing else: no socket, no
// clock, no list of addresses. The VRRP loop owns the object and calls it from its one thread; whoever needs to know
// what happened reads EnterState. Each alternative of the state holds only what exists in that state, so that a timer
// of another state cannot fire.
//
// Timers. Backup has Active_Down_Timer, which runs for down_timer_adverts (3) x Active_Adver_Interval + Skew_Time
// from the last accepted advertisement, or for Skew_Time from one with priority 0 (RFC 9568 section 6.1). Version 3
// learns Active_Adver_Interval from what it accepts; version 2 cannot, and its Skew_Time is (256 - priority) / 256
// seconds whatever the interval (RFC 3768 section 6.1). A changed effective priority shifts the running timer by the
// difference of the two skews. Active has Adver_Timer, which keeps its rhythm against small delays and skips what was
// missed after a large one: a router that slept sends one advertisement, not all the missed ones.
//
// Invariants.
//  - An Active Router's first packet leaves before anything slower is done: SendAdvertisement, AddAddresses, Announce,
//    EnterState, then lines for the log. On the way out the addresses go before the log, too.
//  - Addresses are wished for on entering Active only, and wished away on leaving it and on every start, where a
//    predecessor that crashed may have left some.
//  - Every change of state is one EnterState with its reason; what changes nothing makes none.
//  - Events that mean nothing in a state are ignored: a late timer, an advertisement during a fault.
//
// Beyond the RFC, as keepalived has it: the state Fault (interface down, a check script failed); preempt_delay, during
// which a lower-priority Active is followed; an Active that hears a loser announces its addresses again, since the
// other may have drawn traffic; an advertisement of equal priority from our own address is only warned about. An owner
// (priority 255) does not preempt by waiting: it is Active from Startup, and no tracker changes its priority.

namespace vipkeeper::vrrp {
namespace {

std::string seconds(Duration duration) {
  return fmt::format("{:.2f} s", std::chrono::duration<double>(duration).count());
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::initialize:
      return "INIT";
    case State::backup:
      return "BACKUP";
    case State::active:
      return "MASTER";
    case State::fault:
      return "FAULT";
  }
  return "?";
}

VirtualRouter::VirtualRouter(Parameters parameters)
    : parameters_(std::move(parameters)), effective_priority_(parameters_.priority) {}

std::vector<Action> VirtualRouter::handle(TimePoint now, const Event& event) {
  Turn turn{now, {}};
  std::visit([&](const auto& happened) { on(turn, happened); }, event);
  return std::move(turn.actions);
}

std::optional<TimePoint> VirtualRouter::next_deadline() const {
  if (const auto* backup = std::get_if<Backup>(&state_)) return backup->down;
  if (const auto* active = std::get_if<Active>(&state_)) return active->next_advertisement;
  return std::nullopt;
}

State VirtualRouter::state() const {
  if (std::holds_alternative<Backup>(state_)) return State::backup;
  if (std::holds_alternative<Active>(state_)) return State::active;
  if (std::holds_alternative<Fault>(state_)) return State::fault;
  return State::initialize;
}

std::optional<IpAddress> VirtualRouter::active_router() const {
  if (const auto* backup = std::get_if<Backup>(&state_)) return backup->active_router;
  if (std::holds_alternative<Active>(state_)) return parameters_.source;
  return std::nullopt;
}

std::optional<IpAddress> VirtualRouter::discarded_sender() const {
  const auto* backup = std::get_if<Backup>(&state_);
  return backup != nullptr && backup->discarded ? std::optional(backup->discarded->sender) : std::nullopt;
}

// RFC 9568 section 6.4.1.
void VirtualRouter::on(Turn& turn, const Startup&) {
  if (!std::holds_alternative<Initialize>(state_)) return;
  if (owner()) return become_active(turn, "started with priority 255");
  turn.actions.emplace_back(RemoveAddresses{});
  become_backup(turn, "started", nullptr);
  log(turn, "Entering BACKUP STATE (init)");
}

void VirtualRouter::on(Turn& turn, const Received& event) {
  if (auto* backup = std::get_if<Backup>(&state_)) return received_in_backup(turn, *backup, event);
  if (auto* active = std::get_if<Active>(&state_)) return received_in_active(turn, *active, event);
}

void VirtualRouter::on(Turn& turn, const TimerExpired&) {
  if (next_deadline().value_or(TimePoint::max()) > turn.now) return;
  if (const auto* backup = std::get_if<Backup>(&state_)) {
    become_active(turn, takeover_reason(*backup, turn.now));
    return log_detail(turn, "Receive advertisement timeout");
  }
  auto& active = std::get<Active>(state_);
  turn.actions.emplace_back(SendAdvertisement{effective_priority_});
  active.next_advertisement += parameters_.advert_interval;
  if (active.next_advertisement <= turn.now + parameters_.advert_interval / 2) {
    active.next_advertisement = turn.now + parameters_.advert_interval;
  }
}

void VirtualRouter::on(Turn& turn, const EffectivePriorityChanged& event) {
  if (owner()) return;
  set_effective_priority(turn, std::clamp<std::uint8_t>(event.priority, 1, 254));
}

void VirtualRouter::on(Turn& turn, const FaultRaised& event) {
  const State from = state();
  if (from == State::fault) return;
  if (from == State::active) leave_active(turn, true);
  if (from == State::initialize) turn.actions.emplace_back(RemoveAddresses{});
  state_ = Fault{};
  turn.actions.emplace_back(EnterState{from, State::fault, event.reason});
  if (!event.script.empty()) {
    turn.actions.emplace_back(
        LogLine{fmt::format("({}): entering FAULT state due to script {}", parameters_.name, event.script)});
  }
  log(turn, from == State::initialize ? "Entering FAULT STATE (init)" : "Entering FAULT STATE");
  if (from == State::active) {
    log_detail(turn, "sent 0 priority");
    log_detail(turn, "removing VIPs.");
  }
}

void VirtualRouter::on(Turn& turn, const FaultCleared&) {
  if (!std::holds_alternative<Fault>(state_)) return;
  if (owner()) return become_active(turn, "fault cleared, priority 255");
  become_backup(turn, "fault cleared", nullptr);
  log(turn, "Entering BACKUP STATE");
}

// RFC 9568 sections 6.4.2 and 6.4.3.
void VirtualRouter::on(Turn& turn, const Shutdown&) {
  const State from = state();
  if (from == State::initialize) return;
  if (from == State::active) leave_active(turn, true);
  state_ = Initialize{};
  turn.actions.emplace_back(EnterState{from, State::initialize, "shutdown"});
  if (from == State::active) {
    log_detail(turn, "sent 0 priority");
    log_detail(turn, "removing VIPs.");
  }
}

void VirtualRouter::on(Turn& turn, const ParametersChanged& event) {
  auto* backup = std::get_if<Backup>(&state_);
  if (backup != nullptr) backup->down -= running_time(*backup);
  const Parameters old = std::exchange(parameters_, event.parameters);
  if (backup != nullptr) {
    // An interval that was learned stays until its sender says another; an own one follows the configuration.
    const bool learned = parameters_.version == 3 && backup->active_router.has_value();
    if (!learned) backup->active_interval = parameters_.advert_interval;
    backup->down += running_time(*backup);
    if (!parameters_.preempt || parameters_.preempt_delay == Duration::zero()) backup->preempt_after.reset();
  } else if (auto* active = std::get_if<Active>(&state_)) {
    active->next_advertisement = std::min(active->next_advertisement, turn.now + parameters_.advert_interval);
  }
  if (parameters_.priority == old.priority) return;
  // The owner's 255 is no base that weights were added to.
  const int delta = old.priority == 255 ? 0 : effective_priority_ - old.priority;
  const int priority = owner() ? 255 : std::clamp(parameters_.priority + delta, 1, 254);
  set_effective_priority(turn, static_cast<std::uint8_t>(priority));
  if (owner() && backup != nullptr) become_active(turn, "priority 255 configured");
}

// RFC 9568 section 6.4.2.
void VirtualRouter::received_in_backup(Turn& turn, Backup& backup, const Received& event) {
  const auto& [advertisement, sender] = event;
  if (advertisement.priority == 0) {
    // Only ever sooner: who says it again and again must not put off the takeover.
    backup.down = std::min(backup.down, turn.now + skew_time(backup.active_interval));
    backup.active_router.reset();
    backup.released_by = sender;
    backup.discarded.reset();
    return log_detail(turn, "Backup received priority 0 advertisement");
  }
  if (advertisement.priority >= effective_priority_) {
    if (backup.preempt_after) log_detail(turn, "stop preempt delay");
    backup.preempt_after.reset();
    return follow(turn, backup, event);
  }
  if (!preempts(turn, backup)) return follow(turn, backup, event);
  backup.discarded = Discarded{sender, advertisement.priority};
  log(turn, fmt::format("received lower priority ({}) advert from {} - discarding", advertisement.priority,
                        sender.to_string()));
}

// RFC 9568 section 6.4.3.
void VirtualRouter::received_in_active(Turn& turn, Active& active, const Received& event) {
  const auto& [advertisement, sender] = event;
  const int theirs = advertisement.priority;
  const int ours = effective_priority_;
  if (theirs == 0) {
    turn.actions.emplace_back(SendAdvertisement{effective_priority_});
    active.next_advertisement = turn.now + parameters_.advert_interval;
    return;
  }
  if (theirs == ours && sender == parameters_.source) {
    turn.actions.emplace_back(
        LogLine{fmt::format("({}) WARNING - equal priority advert received from remote host with our IP address.",
                            parameters_.name),
                true});
    return;
  }
  const auto from = sender.to_string();
  if (theirs < ours || (theirs == ours && sender < parameters_.source)) {
    turn.actions.emplace_back(SendAdvertisement{effective_priority_});
    turn.actions.emplace_back(Announce{});
    active.next_advertisement = turn.now + parameters_.advert_interval;
    return log(turn, fmt::format("Received advert from {} with lower priority {}, ours {}, forcing new election", from,
                                 theirs, ours));
  }
  leave_active(turn, false);
  if (theirs > ours) {
    become_backup(turn, fmt::format("higher priority {} from {}, ours {}", theirs, from, ours), &event);
    log(turn, fmt::format("Master received advert from {} with higher priority {}, ours {}", from, theirs, ours));
  } else {
    become_backup(turn, fmt::format("same priority {} from the higher address {}", theirs, from), &event);
    log(turn, fmt::format("Master received advert from {} with same priority {} but higher IP address than ours", from,
                          theirs));
  }
  log(turn, "Entering BACKUP STATE");
  log_detail(turn, "removing VIPs.");
}

// Whether an advertisement of lower priority is discarded; starts preempt_delay where it is the first.
bool VirtualRouter::preempts(Turn& turn, Backup& backup) const {
  if (owner()) return true;
  if (!parameters_.preempt) return false;
  if (parameters_.preempt_delay == Duration::zero()) return true;
  if (!backup.preempt_after) {
    backup.preempt_after = turn.now + parameters_.preempt_delay;
    const auto delay = std::chrono::duration_cast<std::chrono::microseconds>(parameters_.preempt_delay).count();
    log(turn, fmt::format("start preempt delay ({}.{:06})", delay / 1000000, delay % 1000000));
  }
  return turn.now >= *backup.preempt_after;
}

// An accepted advertisement: its sender is the Active Router now.
void VirtualRouter::follow(Turn& turn, Backup& backup, const Received& event) const {
  if (parameters_.version == 3 && backup.active_interval != event.advertisement.interval) {
    backup.active_interval = event.advertisement.interval;
    turn.actions.emplace_back(LogLine{
        fmt::format("({}) learned advertisement interval {} from {}, ours is {}", parameters_.name,
                    seconds(backup.active_interval), event.sender.to_string(), seconds(parameters_.advert_interval)),
        backup.active_interval != parameters_.advert_interval});
  }
  backup.down = turn.now + active_down_interval(backup.active_interval);
  backup.heard = turn.now;
  backup.active_router = event.sender;
  backup.released_by.reset();
  backup.discarded.reset();
}

void VirtualRouter::become_active(Turn& turn, std::string reason) {
  const State from = state();
  state_ = Active{turn.now + parameters_.advert_interval};
  turn.actions.emplace_back(SendAdvertisement{effective_priority_});
  turn.actions.emplace_back(AddAddresses{});
  turn.actions.emplace_back(Announce{});
  turn.actions.emplace_back(EnterState{from, State::active, std::move(reason)});
  log(turn, "Entering MASTER STATE");
  log_detail(turn, "setting VIPs.");
}

// `cause`: the advertisement that won; its sender is followed from the first moment.
void VirtualRouter::become_backup(Turn& turn, std::string reason, const Received* cause) {
  const State from = state();
  const Duration interval = parameters_.advert_interval;
  auto& backup =
      state_.emplace<Backup>(Backup{turn.now + active_down_interval(interval), interval, turn.now, {}, {}, {}, {}});
  turn.actions.emplace_back(EnterState{from, State::backup, std::move(reason)});
  if (cause != nullptr) follow(turn, backup, *cause);
}

void VirtualRouter::leave_active(Turn& turn, bool announce_priority_zero) const {
  if (announce_priority_zero) turn.actions.emplace_back(SendAdvertisement{0});
  turn.actions.emplace_back(RemoveAddresses{});
}

void VirtualRouter::set_effective_priority(Turn& turn, std::uint8_t priority) {
  if (priority == effective_priority_) return;
  if (!std::holds_alternative<Initialize>(state_)) {
    log(turn, fmt::format("Changing effective priority from {} to {}", effective_priority_, priority));
  }
  auto* backup = std::get_if<Backup>(&state_);
  if (backup != nullptr) backup->down -= skew_time(backup->active_interval);
  effective_priority_ = priority;
  if (backup != nullptr) backup->down += skew_time(backup->active_interval);
}

void VirtualRouter::log(Turn& turn, std::string_view text) const {
  turn.actions.emplace_back(LogLine{fmt::format("({}) {}", parameters_.name, text)});
}

void VirtualRouter::log_detail(Turn& turn, std::string_view text) const {
  turn.actions.emplace_back(LogLine{fmt::format("({}) {}", parameters_.name, text), false, true});
}

Duration VirtualRouter::skew_time(Duration active_interval) const {
  const Duration unit = parameters_.version == 3 ? active_interval : std::chrono::seconds(1);
  return (256 - effective_priority_) * unit / 256;
}

Duration VirtualRouter::active_down_interval(Duration active_interval) const {
  return parameters_.down_timer_adverts * active_interval + skew_time(active_interval);
}

// What Active_Down_Timer was last set to.
Duration VirtualRouter::running_time(const Backup& backup) const {
  return backup.released_by ? skew_time(backup.active_interval) : active_down_interval(backup.active_interval);
}

std::string VirtualRouter::takeover_reason(const Backup& backup, TimePoint now) const {
  if (backup.released_by) return "priority 0 from " + backup.released_by->to_string();
  if (backup.discarded) {
    return fmt::format("lower priority {} from {}, ours {}", backup.discarded->priority,
                       backup.discarded->sender.to_string(), effective_priority_);
  }
  return fmt::format("no advertisement from {} for {}",
                     backup.active_router ? backup.active_router->to_string() : "anybody", seconds(now - backup.heard));
}

}  // namespace vipkeeper::vrrp
