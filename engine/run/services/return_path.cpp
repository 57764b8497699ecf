#include "engine/run/services/return_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace vipkeeper::run {
namespace {

using return_path::FamilyRules;
using return_path::holds;
using return_path::Operation;
using return_path::Scaffold;
using return_path::ServicePort;

// A change of this many elements is logged element by element.
constexpr std::size_t few = 4;
constexpr std::array both{Family::ipv4, Family::ipv6};
// A real server of this node in no network of its own: the network may come with its first pod.
constexpr auto near_interval = std::chrono::seconds(5);

Duration backoff(const Error& error, unsigned failures) {
  // Somebody has to load a module or give a right: nothing to be quick about.
  if (error.code == ErrorCode::unsupported || error.code == ErrorCode::permission) return std::chrono::seconds(30);
  return std::min<Duration>(std::chrono::seconds(1U << std::min(failures, 5U)), std::chrono::seconds(30));
}

bool is_nat(const config::RealServer& real) { return real.method == config::ForwardingMethod::masquerade; }

}  // namespace

std::optional<return_path::Masquerade> masquerade_of(const config::VirtualServer& server) {
  // The packets of a firewall mark are known to whoever marks them.
  if (server.key.fwmark != 0) return std::nullopt;
  if (!server.real_servers.empty() && std::ranges::none_of(server.real_servers, is_nat)) return std::nullopt;
  switch (server.masquerade) {
    case config::Masquerade::never:
      return std::nullopt;
    case config::Masquerade::automatic:
      return return_path::Masquerade::automatic;
    case config::Masquerade::always:
      return return_path::Masquerade::always;
  }
  return std::nullopt;
}

ServicePort service_port(const config::VirtualServerKey& key) { return {key.address, key.protocol, key.port}; }

std::map<Family, FamilyRules> desired_rules(const VirtualServers& servers,
                                            const std::vector<return_path::AttachedNetwork>& attached) {
  std::map<Family, FamilyRules> result;
  return_path::AddressCount here, elsewhere;
  for (const auto& [key, server] : servers) {
    const auto masquerade = server != nullptr ? masquerade_of(*server) : std::nullopt;
    if (!masquerade) continue;
    FamilyRules& rules = result[key.address.family()];
    rules.scaffold = Scaffold::right;
    rules.services.emplace(service_port(key), *masquerade);
    for (const config::RealServer& real : server->real_servers)
      (real.on_this_node ? here : elsewhere).add(real.address);
  }
  for (const IpPrefix& network : near_networks(here, elsewhere, attached))
    if (const auto rules = result.find(network.address.family()); rules != result.end())
      rules->second.near.insert(network);
  return result;
}

ReturnPath::ReturnPath(ReturnPathDoors doors, Log log) : doors_(std::move(doors)), log_(std::move(log)) {}

// --- what is desired -----------------------------------------------------------------------------------------------

void ReturnPath::take(const config::VirtualServerKey& key, const config::VirtualServer* server) {
  const auto place = known_.find(key);
  const Known old = place == known_.end() ? Known{} : std::move(place->second);
  Known now;
  if (server != nullptr) now.masquerade = masquerade_of(*server);
  if (now.masquerade)
    for (const config::RealServer& real : server->real_servers)
      (real.on_this_node ? now.here : now.elsewhere).push_back(real.address);
  // What stays must not seem to go, so what comes is counted first.
  for (const IpAddress& address : now.here)
    if (here_.add(address) && !holds(desired_[address.family()].near, address)) near_unknown_ = true;
  for (const IpAddress& address : now.elsewhere)
    if (elsewhere_.add(address) && holds(desired_[address.family()].near, address)) near_unknown_ = true;
  for (const IpAddress& address : old.here)
    if (here_.remove(address) && is_last_of_its_network(address)) near_unknown_ = true;
  for (const IpAddress& address : old.elsewhere) elsewhere_.remove(address);
  if (now.masquerade != old.masquerade) set(service_port(key), now.masquerade);
  if (now.masquerade)
    known_.insert_or_assign(key, std::move(now));
  else if (place != known_.end())
    known_.erase(place);
}

bool ReturnPath::is_last_of_its_network(const IpAddress& address) const {
  const auto rules = desired_.find(address.family());
  return rules != desired_.end() && std::ranges::any_of(rules->second.near, [&](const IpPrefix& network) {
           return network.contains(address) && !here_.any_in(network);
         });
}

void ReturnPath::set(const ServicePort& service, std::optional<return_path::Masquerade> masquerade) {
  const Family family = service.address.family();
  FamilyRules& rules = desired_[family];
  if (masquerade)
    rules.services.insert_or_assign(service, *masquerade);
  else
    rules.services.erase(service);
  rules.scaffold = rules.services.empty() ? Scaffold::absent : Scaffold::right;
  if (rules.services.empty()) rules.near.clear();
  changed_[family].insert(service);
  pending_.insert(family);
  near_unknown_ = near_unknown_ || rules.services.size() == 1;
  retry_at_ = TimePoint{};
}

void ReturnPath::apply(const VirtualServers& delta, bool complete) {
  for (const auto& [key, server] : delta) take(key, server.get());
  complete_ = complete_ || complete;
  tried_ = false;
}

void ReturnPath::update_near(TimePoint now) {
  near_unknown_ = false;
  near_again_.reset();
  if (here_.empty() && desired_[Family::ipv4].near.empty() && desired_[Family::ipv6].near.empty()) return;
  std::set<IpPrefix> networks;
  const auto attached = doors_.read_networks();
  if (attached) {
    networks = near_networks(here_, elsewhere_, *attached);
  } else {
    // Not known is not none: what was found stands, but for what is certainly wrong now.
    for (const auto& [family, rules] : desired_)
      std::ranges::copy_if(rules.near, std::inserter(networks, networks.end()),
                           [&](const IpPrefix& network) { return !elsewhere_.any_in(network); });
  }
  const bool all_found =
      std::ranges::all_of(here_.addresses(), [&](const auto& address) { return holds(networks, address.first); });
  if (!attached || !all_found) near_again_ = now + near_interval;
  for (auto& [family, rules] : desired_) {
    std::set<IpPrefix> of_family;
    if (!rules.services.empty())
      std::ranges::copy_if(networks, std::inserter(of_family, of_family.end()),
                           [&](const IpPrefix& network) { return network.address.family() == family; });
    if (of_family == rules.near) continue;
    rules.near = std::move(of_family);
    pending_.insert(family);
  }
}

// --- the kernel ----------------------------------------------------------------------------------------------------

Result<void> ReturnPath::read(Family family) {
  auto rules = way().read(family);
  if (!rules) return std::unexpected(rules.error());
  mirror_.insert_or_assign(family, std::move(*rules));
  return {};
}

Result<void> ReturnPath::bring_about(Family family) {
  const FamilyRules& desired = desired_[family];
  if (!mirror_.contains(family)) {
    if (auto known = read(family); !known) return known;
    changed_.erase(family);
  }
  FamilyRules& mirror = mirror_.at(family);
  const auto changed = changed_.find(family);
  const bool little =
      changed != changed_.end() && mirror.scaffold == Scaffold::right && desired.scaffold == Scaffold::right;
  const auto operations = little ? plan(mirror, desired, changed->second) : plan(mirror, desired);
  if (!operations.empty()) {
    std::set<ServicePort> new_services;
    for (const Operation& operation : operations)
      if (const auto* add = std::get_if<return_path::AddService>(&operation))
        if (!mirror.services.contains(add->service)) new_services.insert(add->service);
    if (auto applied = way().apply(family, operations); !applied) {
      mirror_.erase(family);
      return applied;
    }
    apply_to(mirror, operations);
    note_done(family, operations, new_services);
  }
  changed_.erase(family);
  return {};
}

void ReturnPath::note_done(Family family, std::span<const Operation> operations,
                           const std::set<ServicePort>& new_services) {
  changes_ += operations.size();
  if (std::holds_alternative<return_path::MakeScaffold>(operations.front())) {
    way_is_good_ = true;
    say(LogLevel::info, fmt::format("masquerading: {} rules made by {}, {} virtual services", to_string(family),
                                    way().name(), desired_[family].services.size()));
  } else if (operations.size() <= few) {
    for (const Operation& operation : operations)
      say(LogLevel::info, fmt::format("masquerading: {}", to_string(family, operation)));
  } else {
    say(LogLevel::info, fmt::format("masquerading: {} changes of the {} rules", operations.size(), to_string(family)));
  }
  if (!doors_.forget_flows) return;
  // A client that went on sending while nobody answered has a connection without a way back, for as long as it sends.
  std::vector<ServicePort> flows;
  std::ranges::copy_if(new_services, std::back_inserter(flows),
                       [](const ServicePort& service) { return service.protocol == Protocol::udp; });
  if (flows.empty()) return;
  if (const auto forgotten = doors_.forget_flows(flows); !forgotten)
    say(LogLevel::warning, fmt::format("masquerading: UDP clients that were sending already may get no answer until "
                                       "they pause: {}",
                                       forgotten.error().message));
}

void ReturnPath::failed(const Error& error, TimePoint now) {
  ++errors_;
  // The next way may do, unless this one has done before.
  if (error.code == ErrorCode::unsupported && !way_is_good_ && way_ + 1 < doors_.ways.size()) {
    refusals_.push_back(error.message);
    ++way_;
    mirror_.clear();
    return;
  }
  retry_at_ = now + backoff(error, failures_++);
  Error told = error;
  for (const std::string& refusal : refusals_) told.message += "; " + refusal;
  if (!error_ || error_->message != told.message)
    say(LogLevel::error, fmt::format("masquerading: {}; the rest is served; tried again within 30 s", told.message));
  error_ = std::move(told);
  if (way_is_good_) return;
  // Whatever is loaded meanwhile: the best way first.
  way_ = 0;
  refusals_.clear();
  mirror_.clear();
}

// An earlier run may have gone another way.
void ReturnPath::clean_other_ways() {
  others_are_clean_ = true;
  for (std::size_t other = 0; other < doors_.ways.size(); ++other) {
    if (other == way_) continue;
    for (const Family family : both) {
      const auto rules = doors_.ways[other]->read(family);
      if (!rules || rules->scaffold == Scaffold::absent) continue;
      const std::vector<Operation> removal{return_path::RemoveScaffold{}};
      if (doors_.ways[other]->apply(family, removal))
        say(LogLevel::info, fmt::format("masquerading: {} rules of an earlier run, made by {}, removed",
                                        to_string(family), doors_.ways[other]->name()));
    }
  }
}

void ReturnPath::look() {
  if (!has_rules() || !way().disturbed()) return;
  audit_at_ = TimePoint{};
}

void ReturnPath::audit(TimePoint now) {
  near_unknown_ = true;
  for (const Family family : both) {
    const auto mirror = mirror_.find(family);
    if (mirror == mirror_.end()) continue;
    auto rules = way().read(family);
    if (rules && *rules == mirror->second) continue;
    changed_.erase(family);
    pending_.insert(family);
    retry_at_ = TimePoint{};
    if (!rules) {
      mirror_.erase(mirror);
      continue;
    }
    ++repairs_;
    say(LogLevel::warning,
        fmt::format("masquerading: {} rules changed by someone else, being put right", to_string(family)));
    mirror->second = std::move(*rules);
  }
  watch(now);
}

void ReturnPath::watch(TimePoint now) {
  audit_at_.reset();
  if (has_rules()) audit_at_ = now + audit_interval;
}

void ReturnPath::turn(TimePoint now) {
  if (!complete_) return;
  if (audit_at_ && *audit_at_ <= now) audit(now);
  if (near_unknown_ || (near_again_ && *near_again_ <= now)) update_near(now);
  while (!pending_.empty() && retry_at_ <= now) {
    const Family family = *pending_.begin();
    if (const auto done = bring_about(family); !done)
      failed(done.error(), now);
    else
      pending_.erase(family);
  }
  tried_ = true;
  if (!pending_.empty()) return;
  if (error_) say(LogLevel::info, "masquerading: the rules are in place again");
  error_.reset();
  failures_ = 0;
  if (!others_are_clean_) clean_other_ways();
  if (has_rules() != audit_at_.has_value()) watch(now);
}

void ReturnPath::remove_all() {
  complete_ = true;
  for (auto& [family, rules] : desired_) rules = FamilyRules{};
  for (const Family family : both)
    if (const auto gone = bring_about(family); !gone && has_rules())
      say(LogLevel::error, fmt::format("masquerading: rules are left behind: {}", gone.error().message));
}

// --- what is told --------------------------------------------------------------------------------------------------

int ReturnPath::events() const { return way().events(); }

bool ReturnPath::has_rules() const {
  return std::ranges::any_of(mirror_, [](const auto& entry) { return entry.second.scaffold != Scaffold::absent; });
}

std::optional<TimePoint> ReturnPath::next_deadline() const {
  if (!complete_) return std::nullopt;
  std::optional<TimePoint> deadline = audit_at_;
  const auto earlier = [&](std::optional<TimePoint> other) {
    if (other && (!deadline || *other < *deadline)) deadline = other;
  };
  if (!pending_.empty()) earlier(retry_at_);
  earlier(near_again_);
  return deadline;
}

std::vector<status::Problem> ReturnPath::problems() const {
  std::vector<status::Problem> result;
  if (error_ && !pending_.empty()) result.push_back({true, "masquerading", error_->message});
  return result;
}

status::ReturnPathStatus ReturnPath::status() const {
  status::ReturnPathStatus result;
  if (has_rules()) result.way = way().name();
  for (const auto& [family, rules] : mirror_) {
    result.services += rules.services.size();
    for (const IpPrefix& network : rules.near) result.networks.push_back(network.to_string());
  }
  result.in_place = pending_.empty();
  return result;
}

void ReturnPath::add_to(status::Counters& counters) const {
  counters["masquerading_changes"] = changes_;
  counters["masquerading_errors"] = errors_;
  counters["masquerading_repairs"] = repairs_;
}

}  // namespace vipkeeper::run
