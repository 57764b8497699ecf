// All the virtual routers of one host as one value: what the VRRP thread decides, without the thread.
//
// It joins the agents (one a router) to the host: the mirror of its links and addresses, the plan of its addresses, the
// scripts' verdicts. Every function takes the time, works the event in, and leaves what is to be done in a queue, in
// order; the VRRP loop (engine/run) carries it out, and so does the simulation, on a host that fails.
//
// An event costs what it touches: a change of a link or an address goes to the routers that look at that interface, a
// script's result to those that track it, and each router's deadline stands in one ordered map.
//
// Reloads. A router is (interface, VRID, family, transport); one that stays keeps its state. Those that are new or
// changed are told first and those that go afterwards, so that an address which one of them gives to another stays
// where it is. Who goes has said its priority 0 when this returns; its addresses leave in the plan's own time.
//
// Readings of the host are asked for when notifications were lost, when the kernel gave no answer, and once a minute.

#include "engine/router/station.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vipkeeper::router {
namespace {

constexpr std::size_t operations_a_piece = 64;
constexpr std::size_t announcements_a_turn = 256;
constexpr Duration audit_interval = std::chrono::minutes(1);
constexpr Duration longest_read_pause = std::chrono::seconds(30);

}  // namespace

Station::Station(StationOptions options, host::NetworkState first)
    : options_(std::move(options)), mirror_(std::move(first)), plan_(options_.recorded) {}

HostView Station::view_of(const config::VrrpInstance& instance) const {
  return observe(instance, mirror_.state(), [this](const host::InterfaceAddress& address, const host::Link& link) {
    return address.protocol == host::address_protocol || plan_.is_virtual(address.key.prefix.address) ||
           plan_.is_recorded({address.key.prefix, link.name});
  });
}

Station::Wanted Station::tell_apart(TimePoint now, const VrrpConfig& config) {
  ignored_.clear();
  Wanted wanted;
  std::map<config::RouterId, const config::VrrpInstance*> taken;
  for (const auto& instance : config.instances) {
    config::RouterId id = config::RouterId::of(*instance);
    // Two groups of peers that have none in common may share a VRID: they cannot hear each other. Whoever was told
    // apart by its name stays so, though the other is gone.
    config::RouterId named = id;
    named.transport += " " + instance->name;
    const auto same = taken.find(id);
    if (by_id_.contains(named) || (same != taken.end() && !hear_each_other(*same->second, *instance))) id = named;
    std::string reason;
    if (id.family != Family::ipv4) {
      reason = "VRRP for IPv6 addresses is not supported, the instance is ignored";
    } else if (!taken.emplace(id, instance.get()).second) {
      reason = "has the same interface and virtual_router_id as (" + taken[id]->name + "), it is ignored";
    }
    if (reason.empty()) {
      wanted.emplace_back(std::move(id), instance);
    } else {
      ignored_.push_back("(" + instance->name + ") " + reason);
      line(now, Say::Level::error, ignored_.back(), false);
    }
  }
  return wanted;
}

void Station::configure(TimePoint now, const VrrpConfig& config) {
  if (!read_at_) read_at_ = now + audit_interval;
  configure_scripts(config);
  const Wanted wanted = tell_apart(now, config);
  std::set<RouterNumber> leaving;
  for (const auto& [id, number] : by_id_) leaving.insert(number);

  // Who has which addresses is known before anybody looks for one to send from.
  in_order_.clear();
  std::vector<std::pair<RouterNumber, std::shared_ptr<const config::VrrpInstance>>> news;
  for (const auto& [id, instance] : wanted) {
    const auto [known, is_new] = by_id_.try_emplace(id, next_number_);
    if (is_new) routers_[next_number_++].id = id;
    const RouterNumber number = known->second;
    leaving.erase(number);
    in_order_.push_back(number);
    if (routers_[number].agent.shared_instance() == instance) continue;
    plan_.configure(number, host_addresses(*instance), mirror_.state());
    news.emplace_back(number, instance);
  }
  for (const auto& [number, instance] : news) {
    Router& router = routers_[number];
    for (const auto& name : router.interfaces) by_interface_[name].erase(number);
    router.interfaces = interfaces_of(*instance);
    for (const auto& name : router.interfaces) by_interface_[name].insert(number);
    changed_.insert(number);
    tell(now, number, Configured{instance, view_of(*instance), options_.dry_run});
    for (const auto& tracked : instance->track_scripts) {
      const auto script = scripts_.find(tracked.script);
      if (script == scripts_.end()) continue;
      tell(now, number, ScriptSpoke{tracked.script, script->second.verdict.health()});
    }
  }
  for (const RouterNumber number : leaving) leave(now, number);
  index_scripts();
  plan_.allow_removal();
  look_at_sources(now);
}

void Station::index_scripts() {
  for (auto& [name, script] : scripts_) script.routers.clear();
  for (const RouterNumber number : in_order_) {
    for (const auto& tracked : routers_.at(number).agent.instance().track_scripts) {
      if (const auto script = scripts_.find(tracked.script); script != scripts_.end()) {
        script->second.routers.insert(number);
      }
    }
  }
}

// What is virtual is nobody's source, and that may have changed for those that were not told of anything.
void Station::look_at_sources(TimePoint now) {
  sources_.clear();
  for (const RouterNumber number : in_order_) {
    const auto& instance = routers_.at(number).agent.instance();
    if (instance.source) sources_.insert(*instance.source);
    HostView view = view_of(instance);
    if (view != routers_.at(number).agent.view()) tell(now, number, HostSeen{std::move(view)});
  }
}

void Station::leave(TimePoint now, RouterNumber number) {
  tell(now, number, ShutDown{});
  plan_.forget(number, mirror_.state());
  const auto place = routers_.find(number);
  for (const auto& name : place->second.interfaces) by_interface_[name].erase(number);
  std::erase_if(by_interface_, [](const auto& entry) { return entry.second.empty(); });
  by_id_.erase(place->second.id);
  routers_.erase(place);
  changed_.insert(number);
}

void Station::configure_scripts(const VrrpConfig& config) {
  std::set<std::string> names;
  for (const auto& script : config.scripts) {
    names.insert(script->name);
    const auto known = scripts_.find(script->name);
    if (known == scripts_.end()) {
      scripts_.emplace(script->name,
                       Script{script, vrrp::ScriptVerdict(script->rise, script->fall, script->init_fail), {}});
    } else if (*known->second.config != *script) {
      known->second.verdict.configure(script->rise, script->fall);
      known->second.config = script;
    }
  }
  std::erase_if(scripts_, [&](const auto& entry) { return !names.contains(entry.first); });
}

void Station::script_result(TimePoint now, const ScriptResult& result) {
  const auto script = scripts_.find(result.script);
  if (script == scripts_.end() || !script->second.verdict.record(result.success)) return;
  const std::string named = "VRRP_Script(" + result.script + ") ";
  if (result.success) {
    line(now, Say::Level::info, named + "succeeded", false);
  } else {
    line(now, Say::Level::warning, named + (result.timed_out ? "timed_out" : "failed (" + result.detail + ")"), false);
  }
  const ScriptSpoke spoke{result.script, script->second.verdict.health()};
  for (const RouterNumber number : std::set(script->second.routers)) tell(now, number, spoke);
}

void Station::host_said(TimePoint now, const Result<std::vector<host::Notification>>& said) {
  if (said) return network_changed(now, mirror_.apply(*said));
  host_line(
      now, Say::Level::warning,
      "what the kernel says of interfaces and addresses was lost (" + said.error().message + "): all is read again");
  begin_reading(now);
}

void Station::begin_reading(TimePoint now) {
  read_at_ = now + audit_interval;
  ++counters_.host_readings;
  outputs_.emplace_back(ReadHost{mirror_.begin_reading()});
}

void Station::host_read(TimePoint now, std::uint64_t number, Result<host::NetworkState> read) {
  if (!read) {
    mirror_.give_up_reading(number);
    if (mirror_.reading()) return;  // another is under way
    read_error_ = read.error().message;
    host_line(now, Say::Level::error, "cannot follow the interfaces: " + read_error_);
    read_at_ =
        now + std::min<Duration>(std::chrono::seconds(1) * (1U << std::min(read_failures_++, 5U)), longest_read_pause);
    return;
  }
  const auto changes = mirror_.finish_reading(number, std::move(*read));
  if (!changes) {
    if (!mirror_.reading()) begin_reading(now);
    return;
  }
  read_error_.clear();
  read_failures_ = 0;
  network_changed(now, *changes);
  plan_.network_read();
}

void Station::network_changed(TimePoint now, const host::NetworkChanges& changes) {
  if (changes.empty()) return;
  std::set<RouterNumber> concerned;
  const auto concern = [&](const std::string& name) -> bool {
    const auto routers = by_interface_.find(name);
    if (routers == by_interface_.end()) return false;
    concerned.insert(routers->second.begin(), routers->second.end());
    return true;
  };
  for (const auto& [before, after] : changes.links) {
    bool watched = before && concern(before->name);
    watched = (after && concern(after->name)) || watched;
    if (watched && before && after && before->usable() != after->usable()) {
      host_line(now, Say::Level::info, "Netlink reports " + after->name + (after->usable() ? " up" : " down"));
    }
  }
  // Our own addresses are nobody's source; there may be ten thousand of them.
  const auto concern_address = [&](const host::InterfaceAddress& address) {
    const IpAddress& own = address.key.prefix.address;
    if (plan_.is_virtual(own) && !sources_.contains(own)) return;
    if (const auto* link = mirror_.state().find_link(address.key.index)) concern(link->name);
  };
  std::ranges::for_each(changes.added, concern_address);
  std::ranges::for_each(changes.removed, concern_address);

  for (const auto& taken : plan_.network_changed(changes, mirror_.state())) {
    ++counters_.addresses_restored;
    host_line(now, Say::Level::warning,
              "Netlink reflector reports IP " + taken.prefix.address.to_string() + " removed from " + taken.interface +
                  ", putting it back");
  }
  for (const RouterNumber number : concerned) {
    changed_.insert(number);
    tell(now, number, HostSeen{view_of(routers_.at(number).agent.instance())});
  }
  if (!failing_.empty()) assess_addresses(now);
}

void Station::offer(RouterNumber number, const Packet& packet) {
  const auto router = routers_.find(number);
  if (router == routers_.end()) return;
  router->second.agent.offer(packet);
  offered_.insert(number);
}

void Station::packets_taken(TimePoint now) {
  for (const RouterNumber number : std::exchange(offered_, {})) {
    if (routers_.contains(number)) tell(now, number, PacketsTaken{});
  }
}

void Station::listened(TimePoint now, RouterNumber number, const Result<void>& result) {
  if (routers_.contains(number)) tell(now, number, Listened{result ? "" : result.error().message});
}

void Station::applied(TimePoint now, std::span<const host::Answer> answers) {
  bool failed = false;
  for (const auto& answer : answers) {
    const bool refused = answer.outcome == host::Outcome::refused || answer.outcome == host::Outcome::unknown;
    if (!refused) continue;
    failed = true;
    ++counters_.address_errors;
    host_line(now, Say::Level::warning, answer.message);
  }
  const bool unknown = plan_.answered(now, answers, mirror_.state());
  if (unknown) begin_reading(now);
  if (failed || !failing_.empty()) assess_addresses(now);
}

void Station::assess_addresses(TimePoint now) {
  for (const RouterNumber number : in_order_) {
    const bool active = routers_.at(number).agent.state() == vrrp::State::active;
    if (!active && !failing_.contains(number)) continue;
    const auto summary = plan_.summary(number, mirror_.state());
    if (summary.error.empty() && failing_.erase(number) == 0) continue;
    if (!summary.error.empty()) failing_.insert(number);
    tell(now, number, AddressesStand{summary});
  }
}

void Station::not_announced(TimePoint now, int link_index, const std::vector<IpAddress>& addresses) {
  plan_.announcements().unsent(now, link_index, addresses);
}

void Station::timer(TimePoint now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const RouterNumber number = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    deadline_of_.erase(number);
    tell(now, number, DeadlinePassed{});
  }
  if (read_at_ && *read_at_ <= now) begin_reading(now);
}

void Station::shut_down(TimePoint now) {
  if (std::exchange(stopping_, true)) return;
  plan_.allow_removal();
  for (const RouterNumber number : std::vector(in_order_)) tell(now, number, ShutDown{});
  plan_.try_all_again();
  read_at_.reset();
}

bool Station::work(TimePoint now) {
  if (options_.dry_run) return false;
  if (auto piece = plan_.next_piece(now, mirror_.state(), operations_a_piece); !piece.empty()) {
    for (const auto& operation : piece.operations) {
      const bool adds = std::holds_alternative<host::AddAddress>(operation);
      ++(adds ? counters_.addresses_added : counters_.addresses_removed);
    }
    outputs_.emplace_back(ApplyPiece{std::move(piece)});
  }
  announce(now);
  const auto next = plan_.announcements().next_time();
  return plan_.has_work() || (next && *next <= now);
}

void Station::announce(TimePoint now) {
  for (auto& [index, addresses] : plan_.announcements().next(now, announcements_a_turn)) {
    const host::Link* link = mirror_.state().find_link(index);
    if (link == nullptr) continue;
    counters_.announcements += addresses.size();
    outputs_.emplace_back(AnnounceOn{*link, std::move(addresses)});
  }
}

std::optional<TimePoint> Station::next_deadline() const {
  std::optional<TimePoint> next;
  const auto consider = [&](const std::optional<TimePoint>& at) {
    if (at) next = next ? std::min(*next, *at) : *at;
  };
  if (!deadlines_.empty()) consider(deadlines_.begin()->first);
  consider(read_at_);
  if (options_.dry_run) return next;
  consider(plan_.next_retry());
  consider(plan_.announcements().next_time());
  return next;
}

std::vector<bool> Station::present(RouterNumber number) const {
  std::vector<bool> result;
  for (const auto& address : host_addresses(routers_.at(number).agent.instance())) {
    result.push_back(plan_.is_present({address.prefix, address.interface}, mirror_.state()));
  }
  return result;
}

std::set<RouterNumber> Station::take_changed() {
  auto changed = plan_.take_changed();
  changed.merge(std::exchange(changed_, {}));
  return changed;
}

std::vector<Station::Problem> Station::problems() const {
  std::vector<Problem> result;
  if (options_.dry_run) return result;
  for (const RouterNumber number : in_order_) {
    const Agent& agent = routers_.at(number).agent;
    for (auto& problem : agent.problems()) {
      result.push_back({true, "virtual router " + agent.instance().name, std::move(problem)});
    }
  }
  for (const auto& problem : ignored_) result.push_back({true, "VRRP", problem});
  for (auto& problem : plan_.problems()) result.push_back({true, "addresses", std::move(problem)});
  if (!read_error_.empty()) {
    result.push_back({true, "interfaces", "cannot be read, what was known before stands: " + read_error_});
  }
  return result;
}

void Station::tell(TimePoint now, RouterNumber number, const AgentEvent& event) {
  Agent& agent = routers_.at(number).agent;
  if (options_.dry_run && !std::holds_alternative<Configured>(event)) return;
  told_.insert(number);
  const auto before = std::tuple(agent.state(), agent.active_router(), agent.effective_priority());
  auto actions = agent.handle(now, event);
  if (options_.dry_run) return;
  if (before != std::tuple(agent.state(), agent.active_router(), agent.effective_priority())) changed_.insert(number);
  queue(now, number, std::move(actions));
  const auto deadline = agent.next_deadline();
  const auto set = deadline_of_.find(number);
  if (set != deadline_of_.end()) {
    if (deadline == set->second) return;
    const auto [from, to] = deadlines_.equal_range(set->second);
    const auto place = std::find_if(from, to, [&](const auto& entry) { return entry.second == number; });
    if (place != to) deadlines_.erase(place);
    deadline_of_.erase(set);
  }
  if (!deadline) return;
  deadlines_.emplace(*deadline, number);
  deadline_of_[number] = *deadline;
}

void Station::queue(TimePoint now, RouterNumber number, std::vector<AgentAction> actions) {
  for (auto& action : actions) {
    if (auto* transmit = std::get_if<Transmit>(&action)) {
      outputs_.emplace_back(Send{number, std::move(transmit->envelope), transmit->priority});
    } else if (auto* listen = std::get_if<Listen>(&action)) {
      outputs_.emplace_back(OpenSocket{number, std::move(*listen)});
    } else if (std::holds_alternative<StopListening>(action)) {
      outputs_.emplace_back(CloseSocket{number});
    } else if (const auto* hold = std::get_if<HoldAddresses>(&action)) {
      plan_.hold(number, hold->holds, hold->repeat);
      if (!hold->holds) failing_.erase(number);
    } else if (const auto* announcement = std::get_if<AnnounceAddresses>(&action)) {
      plan_.announce(number, announcement->repeat, mirror_.state());
    } else if (const auto* source = std::get_if<AnnounceSource>(&action)) {
      if (const auto* link = mirror_.state().find_link(source->link_index)) {
        outputs_.emplace_back(AnnounceOn{*link, {source->source}});
      }
    } else if (auto* transition = std::get_if<Transition>(&action)) {
      outputs_.emplace_back(Changed{number, std::move(*transition), routers_.at(number).agent.shared_instance()});
    } else if (auto* said = std::get_if<Say>(&action)) {
      line(now, said->level, std::move(said->text), said->bounded);
    }
  }
}

// What neighbours cause must not hold back what the host has to say.
void Station::host_line(TimePoint now, Say::Level level, std::string text) {
  line(now, level, std::move(text), true, host_budget_);
}

void Station::line(TimePoint now, Say::Level level, std::string text, bool bounded) {
  line(now, level, std::move(text), bounded, budget_);
}

void Station::line(TimePoint now, Say::Level level, std::string text, bool bounded, LineBudget& budget) {
  if (bounded && level != Say::Level::detail) {
    auto admitted = budget.admit(now, text);
    if (!admitted) return;
    text = std::move(*admitted);
  }
  outputs_.emplace_back(Line{level, std::move(text)});
}

}  // namespace vipkeeper::router
