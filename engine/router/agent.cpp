// What one virtual router decides, over the state machine of RFC 9568.
//
// The machine (vrrp::VirtualRouter) knows elections. What its host and its neighbours may do to it is known here:
//  - The host. The interface is found by name, the source address is one that the interface has. A source that goes is
//    kept, and sent from, for one Advertisement_Interval: addresses are renewed in milliseconds, and nobody is to
//    notice. Then it is a fault, and the fault's priority 0 still leaves from it. Until the host has it the router is
//    in fault, at the start as later, whichever word of the configuration named it.
//  - The addresses. An Active Router to which the kernel refuses every single address draws traffic that nobody
//    answers: after three seconds it gives way, listens whether anybody else speaks, and if nobody does goes on trying.
//  - The neighbours. Hearing (hearing.h) says whom to listen to. Of what it lets through, an Active Router answers
//  those
//    that lose at most once an interval, and announces its addresses for them once in five seconds; a Backup Router
//    takes the interval of others within bounds, so that one packet cannot silence it for minutes, nor a short interval
//    make it change its state many times a second.
//
// Timers: the machine's (Active_Down_Timer or Adver_Timer); the grace of a source; another try of a socket, or of being
// Active after giving way; second block and refresh of announcements; the ends of Hearing's memories. All of them are
// one deadline to whoever runs the agent, and are looked at at each DeadlinePassed.
//
// Invariants: the machine hears of its parameters before anything that they bear on. Sockets and the source are let go
// of only after the machine has had its say. Nothing happens before Configured, nor after ShutDown.

#include "engine/router/agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vipkeeper::router {
namespace {

constexpr Duration answer_pause = std::chrono::seconds(1);    // at most, between answers to losers
constexpr Duration announce_pause = std::chrono::seconds(5);  // between announcements because of them
constexpr std::size_t calm_transitions = 8;                   // a minute
constexpr Duration patience_with_kernel = std::chrono::seconds(3);
constexpr Duration longest_listen_pause = std::chrono::seconds(30);
constexpr Duration first_yield = std::chrono::seconds(30);
constexpr Duration longest_yield = std::chrono::minutes(5);

bool due(const std::optional<TimePoint>& deadline, TimePoint now) { return deadline && *deadline <= now; }

// How many addresses an ADVERTISEMENT can carry on a link (RFC 9568 section 5.1: one octet counts them; no fragments).
std::size_t capacity(const HostView& view, int version) {
  constexpr std::size_t most = 255;
  if (!view.link || view.link->mtu == 0) return most;
  const std::size_t around = 20 + 8 + (version == 2 ? 8 : 0);
  return view.link->mtu <= around ? 0 : std::min<std::size_t>(most, (view.link->mtu - around) / 4);
}

}  // namespace

Agent::Agent() : machine_({}), tracking_(0, {}) {}

std::vector<AgentAction> Agent::handle(TimePoint now, const AgentEvent& event) {
  now_ = now;
  while (!transitions_.empty() && transitions_.front() + std::chrono::minutes(1) <= now_) transitions_.pop_front();
  if (!over_ && (instance_ || std::holds_alternative<Configured>(event))) {
    std::visit([this](const auto& happened) { on(happened); }, event);
  }
  return std::exchange(actions_, {});
}

void Agent::offer(const Packet& packet) {
  if (!instance_ || over_) return;
  hearing_.offer(packet, source_.address, whose_goodbye_counts(), counters_);
}

void Agent::say(Say::Level level, std::string text, bool bounded) {
  actions_.emplace_back(Say{level, bounded, std::move(text)});
}

vrrp::Parameters Agent::parameters() const {
  return {.name = instance_->name,
          .vrid = instance_->vrid,
          .version = instance_->version,
          .priority = instance_->priority,
          .advert_interval = instance_->advert_interval,
          .preempt = instance_->preempt,
          .preempt_delay = instance_->preempt_delay,
          .down_timer_adverts = instance_->down_timer_adverts,
          .source = source_.address.value_or(IpAddress())};
}

void Agent::update_parameters() {
  if (machine_.parameters() != parameters()) tell(vrrp::ParametersChanged{parameters()});
}

// When a router that gave way is Active again: with nobody else to be heard the best there is is to go on trying.
std::optional<TimePoint> Agent::tries_again_at() const {
  if (!giving_way_.until) return std::nullopt;
  const bool alone = !hearing_.last_heard() || *hearing_.last_heard() < giving_way_.since;
  if (!alone) return giving_way_.until;
  return std::min(*giving_way_.until, giving_way_.since + hearing_.silence_of(instance_->advert_interval));
}

void Agent::on(const Configured& event) {
  const bool first = instance_ == nullptr;
  instance_ = event.instance;
  if (first) {
    machine_ = vrrp::VirtualRouter(parameters());
    tracking_ = vrrp::EffectivePriority(instance_->priority, tracked_items(*instance_));
    told_ = {.spoken = false, .fault = std::nullopt, .priority = instance_->priority};
  } else {
    tracking_.configure(instance_->priority, tracked_items(*instance_));
  }
  std::vector<IpAddress> advertised;
  for (const auto& address : instance_->addresses) {
    if (address.prefix.address.is_v4()) advertised.push_back(address.prefix.address);
  }
  hearing_.configure(now_, *instance_, std::move(advertised));
  if (event.shown_only) return;
  see(event.view);
  if (machine_.state() != vrrp::State::active || instance_->announce.refresh == Duration::zero()) {
    refresh_.reset();
  } else {
    refresh_ = now_ + instance_->announce.refresh;
  }
}

void Agent::on(const HostSeen& event) { see(event.view); }

void Agent::see(const HostView& view) {
  view_ = view;
  hearing_.see(view_.neighbours);
  for (const auto& [name, health] : view_.interfaces) tracking_.set(vrrp::TrackedKind::interface, name, health);
  choose_source();
  rebuild_envelope();
  update_parameters();
  told_.priority = machine_.effective_priority();
  // A socket that is wanted comes before the machine speaks, one that is not goes after its last word.
  if (can_listen()) listen();
  reassess();
  if (!can_listen()) listen();
}

bool Agent::can_listen() const { return view_.link && source_.address && !source_.given_up; }

// The source in use stays while the host has it, and for an interval longer.
void Agent::choose_source() {
  const bool has_it = source_.address && std::ranges::find(view_.sources, *source_.address) != view_.sources.end();
  if (has_it) {
    source_.gone.reset();
    source_.given_up = false;
    return;
  }
  const bool another_wanted = source_.address && instance_->source && *instance_->source != *source_.address;
  const bool wait = source_.address && view_.link && !source_.given_up && !another_wanted;
  if (wait && !source_.gone) source_.gone = now_;
  if (wait && now_ < *source_.gone + instance_->advert_interval) return;
  source_.gone.reset();
  source_.given_up = view_.sources.empty();
  if (!view_.sources.empty()) source_.address = view_.sources.front();
}

// A fault that no tracker sees; empty: none.
std::string Agent::own_fault() const {
  if (!view_.link) return "interface " + instance_->interface + " does not exist";
  if (!source_.address || source_.given_up) {
    if (!instance_->source) return "interface " + instance_->interface + " has no IPv4 address to send from";
    return "interface " + instance_->interface + " does not have " + instance_->source->to_string() +
           ", the address to send from";
  }
  if (!socket_.error.empty()) return socket_.error;
  if (giving_way_.until) return giving_way_.because;
  return {};
}

void Agent::reassess() {
  vrrp::Assessment assessment = tracking_.assess();
  const std::string fault = own_fault();
  if (!fault.empty()) {
    assessment.fault = vrrp::FaultRaised{fault};
    assessment.spoken = true;
  } else if (!assessment.spoken && told_.spoken) {
    // It was in fault before its trackers had spoken: until they have, it stays there.
    assessment.fault = vrrp::FaultRaised{"not every check script has run yet"};
    assessment.spoken = true;
  }
  if (assessment == told_) return;
  const auto events = vrrp::changes(told_, assessment);
  const bool said = std::ranges::any_of(
      events, [](const vrrp::Event& event) { return std::holds_alternative<vrrp::FaultRaised>(event); });
  told_ = std::move(assessment);
  if (said && !fault.empty()) say(Say::Level::warning, fmt::format("({}) {}", instance_->name, fault));
  for (const auto& event : events) tell(event);
}

// Brings the socket to what it shall be.
void Agent::listen() {
  if (!can_listen()) {
    if (std::exchange(socket_.wanted, std::nullopt)) actions_.emplace_back(StopListening{});
    socket_.error.clear();
    socket_.again.reset();
    return;
  }
  Listen wanted{instance_->interface, view_.link->index,
                instance_->unicast ? *source_.address : instance_->multicast_group};
  if (socket_.wanted == wanted) return;
  // An error stands until the answer: a fault must not end for the moment in between.
  socket_.again.reset();
  socket_.wanted = wanted;
  actions_.emplace_back(std::move(wanted));
}

void Agent::on(const Listened& event) {
  socket_.error = event.error;
  if (event.error.empty()) {
    socket_.failures = 0;
  } else {
    socket_.wanted.reset();
    const auto pause = std::chrono::seconds(1) * (1U << std::min(socket_.failures++, 5U));
    socket_.again = now_ + std::min<Duration>(pause, longest_listen_pause);
  }
  reassess();
}

void Agent::rebuild_envelope() {
  auto envelope = std::make_shared<Envelope>();
  envelope->source = source_.address.value_or(IpAddress());
  envelope->checksum_without_pseudo_header = instance_->v3_checksum_as_v2;
  if (instance_->unicast) {
    envelope->destinations = hearing_.destinations();
    std::erase(envelope->destinations, envelope->source);
  } else {
    envelope->destinations = {instance_->multicast_group};
  }
  auto& advertisement = envelope->advertisement;
  advertisement.version = instance_->version;
  advertisement.vrid = instance_->vrid;
  advertisement.interval = instance_->advert_interval;
  advertisement.auth_password = instance_->auth_password;
  for (const auto& address : instance_->addresses) {
    if (address.prefix.address.is_v4()) advertisement.addresses.push_back(address.prefix.address);
  }
  const std::size_t all = advertisement.addresses.size();
  const std::size_t carried = std::min(all, capacity(view_, instance_->version));
  advertisement.addresses.resize(carried);
  std::string problem;
  if (carried < all) {
    problem = fmt::format(
        "an advertisement on {} carries {} addresses at most: all {} are held, the rest is not "
        "advertised",
        instance_->interface, carried, all);
  }
  if (problem != list_problem_ && !problem.empty()) {
    say(Say::Level::warning, fmt::format("({}) {}", instance_->name, problem));
  }
  list_problem_ = std::move(problem);
  envelope_ = std::move(envelope);
}

void Agent::on(const ScriptSpoke& event) {
  tracking_.set(vrrp::TrackedKind::script, event.script, event.health);
  reassess();
}

// The Active Router, or whoever advertised with a lower priority last and is about to be taken over from. While Active,
// anybody: it is answered (RFC 9568 section 6.4.3), within bounds.
std::optional<IpAddress> Agent::whose_goodbye_counts() const {
  if (machine_.state() == vrrp::State::active) return std::nullopt;
  const auto active = machine_.active_router();
  return active ? active : machine_.discarded_sender().value_or(IpAddress());
}

void Agent::on(const PacketsTaken&) {
  auto taken = hearing_.take(now_);
  for (auto& remark : taken.remarks) say(Say::Level::warning, std::move(remark), true);
  if (taken.more_destinations) rebuild_envelope();
  for (const auto& heard : taken.heard) take(heard);
}

// Hands a packet to the machine, within bounds.
void Agent::take(const vrrp::Received& heard) {
  const int theirs = heard.advertisement.priority;
  const int ours = machine_.effective_priority();
  if (machine_.state() == vrrp::State::active) {
    const bool loses = theirs < ours || (theirs == ours && heard.sender < source_.address.value_or(IpAddress()));
    if (loses) {
      const Duration pause = std::min<Duration>(instance_->advert_interval, answer_pause);
      if (answered_ && now_ < *answered_ + pause) return;
      answered_ = now_;
    }
  }
  vrrp::Received bounded = heard;
  if (instance_->version == 3) {
    Duration& interval = bounded.advertisement.interval;
    const Duration own = instance_->advert_interval;
    interval = std::min(interval, longest_believed(own));
    // Made to change its state again and again, it waits as long as its own configuration says, however short an
    // interval the other one names. Never longer: whoever that is, somebody has to hold the addresses when it is gone.
    if (transitions_.size() > calm_transitions) interval = std::max(interval, own);
  }
  tell(bounded, true);
}

void Agent::on(const AddressesStand& event) {
  const auto& [wanted, present, error] = event.summary;
  const bool none = machine_.state() == vrrp::State::active && wanted && !present && !error.empty();
  if (present) giving_way_.times = 0;
  if (!none) {
    giving_way_.failing_since.reset();
    return;
  }
  if (!giving_way_.failing_since) giving_way_.failing_since = now_;
  giving_way_.because = "cannot hold its addresses: " + error;
}

void Agent::on(const DeadlinePassed&) {
  if (due(machine_.next_deadline(), now_)) tell(vrrp::TimerExpired{});
  if (hearing_.expire(now_)) rebuild_envelope();
  if (source_.gone && now_ >= *source_.gone + instance_->advert_interval) see(HostView(view_));
  if (due(socket_.again, now_)) {
    socket_.again.reset();
    listen();
  }
  if (giving_way_.failing_since && now_ >= *giving_way_.failing_since + patience_with_kernel) {
    giving_way_.failing_since.reset();
    if (machine_.state() == vrrp::State::active) {
      Duration pause = first_yield;
      if (now_ > giving_way_.since + 2 * longest_yield) giving_way_.times = 0;
      for (unsigned i = 0; i < giving_way_.times && pause < longest_yield; ++i) pause *= 2;
      ++giving_way_.times;
      giving_way_.until = now_ + std::min(pause, longest_yield);
      giving_way_.since = now_;
      reassess();
    }
  }
  if (due(tries_again_at(), now_)) {
    giving_way_.until.reset();
    reassess();
  }
  if (due(second_block_, now_)) {
    second_block_.reset();
    actions_.emplace_back(AnnounceAddresses{instance_->announce.repeat});
  }
  if (due(refresh_, now_)) {
    refresh_ = now_ + instance_->announce.refresh;
    actions_.emplace_back(AnnounceAddresses{instance_->announce.refresh_repeat});
  }
}

void Agent::on(const ShutDown&) {
  tell(vrrp::Shutdown{});
  if (std::exchange(socket_.wanted, std::nullopt)) actions_.emplace_back(StopListening{});
  second_block_.reset();
  refresh_.reset();
  over_ = true;
}

void Agent::tell(const vrrp::Event& event, bool from_packet) {
  for (const auto& action : machine_.handle(now_, event)) carry_out(action, from_packet);
}

void Agent::carry_out(const vrrp::Action& action, bool from_packet) {
  if (const auto* sending = std::get_if<vrrp::SendAdvertisement>(&action)) {
    // Without a carrier nothing leaves, and a unicast packet leaves an unanswered ARP question behind: the neighbour
    // entry stays incomplete for up to a second after the link is back, while both sides are Active (seen on
    // Linux 6.1).
    if (!source_.address || !view_.link || !view_.link->usable() || !socket_.wanted) return;
    actions_.emplace_back(Transmit{envelope_, sending->priority});
    ++counters_.adverts_sent;
    if (sending->priority == 0) ++counters_.priority_zero_sent;
  } else if (std::holds_alternative<vrrp::AddAddresses>(action)) {
    actions_.emplace_back(HoldAddresses{true, instance_->announce.repeat});
  } else if (std::holds_alternative<vrrp::RemoveAddresses>(action)) {
    second_block_.reset();
    refresh_.reset();
    giving_way_.failing_since.reset();
    actions_.emplace_back(HoldAddresses{false, 0});
  } else if (std::holds_alternative<vrrp::Announce>(action)) {
    announce(from_packet);
  } else if (const auto* state = std::get_if<vrrp::EnterState>(&action)) {
    enter(*state);
  } else if (const auto* line = std::get_if<vrrp::LogLine>(&action)) {
    const auto level = line->detail ? Say::Level::detail : line->warning ? Say::Level::warning : Say::Level::info;
    say(level, line->text, from_packet || transitions_.size() > calm_transitions);
  }
}

void Agent::announce(bool from_packet) {
  if (from_packet) {
    // The loser may have drawn traffic to itself.
    if (announced_to_loser_ && now_ < *announced_to_loser_ + announce_pause) return;
    announced_to_loser_ = now_;
    actions_.emplace_back(AnnounceAddresses{1});
    return;
  }
  actions_.emplace_back(AnnounceAddresses{instance_->announce.repeat});
  if (instance_->announce.delay > Duration::zero()) second_block_ = now_ + instance_->announce.delay;
  if (instance_->announce.refresh > Duration::zero()) refresh_ = now_ + instance_->announce.refresh;
}

void Agent::enter(const vrrp::EnterState& state) {
  transitions_.push_back(now_);
  if (transitions_.size() > 64) transitions_.pop_front();
  if (state.to == vrrp::State::active) ++counters_.became_master;
  if (state.from == vrrp::State::active) ++counters_.released_master;
  answered_.reset();
  // After a fault the unicast peers' neighbour entries for us may be stale, and they would not hear us.
  if (state.from == vrrp::State::fault && instance_->unicast && source_.address && view_.link) {
    actions_.emplace_back(AnnounceSource{view_.link->index, *source_.address});
  }
  actions_.emplace_back(Transition{state.from, state.to, state.reason, machine_.effective_priority()});
}

std::optional<TimePoint> Agent::next_deadline() const {
  if (over_ || !instance_) return std::nullopt;
  std::optional<TimePoint> next;
  const auto consider = [&](const std::optional<TimePoint>& at) {
    if (at) next = next ? std::min(*next, *at) : *at;
  };
  consider(machine_.next_deadline());
  consider(hearing_.next_deadline());
  consider(socket_.again);
  consider(second_block_);
  consider(refresh_);
  if (source_.gone) consider(*source_.gone + instance_->advert_interval);
  if (giving_way_.failing_since) consider(*giving_way_.failing_since + patience_with_kernel);
  consider(tries_again_at());
  return next;
}

std::vector<std::string> Agent::problems() const {
  if (!instance_) return {};
  std::vector<std::string> result = hearing_.problems();
  if (!list_problem_.empty()) result.push_back(list_problem_);
  const std::string fault = own_fault();
  if (!fault.empty()) result.push_back(fault);
  return result;
}

}  // namespace vipkeeper::router
