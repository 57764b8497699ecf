// One virtual router at work. The decisions are made elsewhere, in pure code: vrrp::VirtualRouter says what to do,
// vrrp::EffectivePriority what the trackers mean, HeldAddresses which address is next. This file is what joins them to
// sockets, netlink and the log.
//
// Events in:
//  - a packet (from the shared socket): parsed against the router's Expectation, counted, handed over as Received;
//  - the deadline timer, always set to the machine's next_deadline() after each event;
//  - links, addresses and scripts: they change the health of tracked items, or `own_fault_`, and reassess() hands over
//    whatever follows from that (Startup, a fault, its end, another priority).
// Actions out, in the machine's order: the first ADVERTISEMENT of a new Active Router leaves before its addresses are
// added, and the first gratuitous ARP before anything is written to the log.
//
// The interface is found anew after each change of the links, by name: one that vanishes is a fault, one that comes
// back has another index, and so another socket. The address that advertisements are sent from is the configured one,
// or else the interface's first IPv4 address that is not one of the router's own virtual ones.
//
// Faults come from the trackers, where the interface itself and the virtual addresses' interfaces are implicit items of
// weight 0 (unless told not to track them), and from here: no such interface, no address to send from, no socket.

#include "engine/run/vrrp_router.h"

#include <algorithm>
#include <utility>

namespace vipkeeper::run {
namespace {

vrrp::Health health_of(const net::Link* link) {
  return link != nullptr && link->usable() ? vrrp::Health::ok : vrrp::Health::failed;
}

std::vector<config::VirtualAddress> all_addresses(const config::VrrpInstance& config) {
  auto result = config.addresses;
  result.insert(result.end(), config.excluded_addresses.begin(), config.excluded_addresses.end());
  for (auto& address : result) {
    if (address.interface.empty()) address.interface = config.interface;
  }
  return result;
}

// What the configuration names, and what is watched without being named: the router's own interface and those of its
// addresses.
std::vector<vrrp::TrackedItem> tracked_items(const config::VrrpInstance& config) {
  std::vector<vrrp::TrackedItem> items;
  std::set<std::string> interfaces;
  for (const auto& tracked : config.track_interfaces) {
    items.push_back({vrrp::TrackedKind::interface, tracked.interface, tracked.weight, tracked.reverse});
    interfaces.insert(tracked.interface);
  }
  const auto add_interface = [&](const std::string& name) {
    if (!interfaces.insert(name).second) return;
    items.push_back({vrrp::TrackedKind::interface, name, 0, false});
  };
  if (config.track_primary_interface) add_interface(config.interface);
  for (const auto* addresses : {&config.addresses, &config.excluded_addresses}) {
    for (const auto& address : *addresses) {
      const bool own = address.interface.empty() || address.interface == config.interface;
      if (!address.no_track && !own) add_interface(address.interface);
    }
  }
  for (const auto& tracked : config.track_scripts) {
    items.push_back({vrrp::TrackedKind::script, tracked.script, tracked.weight, tracked.reverse});
  }
  return items;
}

}  // namespace

RouterId RouterId::of(const config::VrrpInstance& instance) {
  const auto& addresses = instance.addresses.empty() ? instance.excluded_addresses : instance.addresses;
  const Family family = addresses.empty() ? Family::ipv4 : addresses.front().prefix.address.family();
  return {instance.interface, instance.vrid, family};
}

RunningRouter::RunningRouter(VrrpEdge& edge, std::shared_ptr<const config::VrrpInstance> config)
    : edge_(edge),
      config_(std::move(config)),
      machine_(parameters()),
      tracking_(config_->priority, tracked_items(*config_)),
      told_{.spoken = false, .fault = std::nullopt, .priority = config_->priority},
      deadline_(edge.loop, [this] { handle(vrrp::TimerExpired{}); }),
      second_block_(edge.loop, [this] { second_block(); }),
      refresh_(edge.loop, [this] { refresh(); }),
      since_(std::chrono::system_clock::now()) {}

RunningRouter::~RunningRouter() { close_socket(); }

vrrp::Parameters RunningRouter::parameters() const {
  return {.name = config_->name,
          .vrid = config_->vrid,
          .version = config_->version,
          .priority = config_->priority,
          .advert_interval = config_->advert_interval,
          .preempt = config_->preempt,
          .preempt_delay = config_->preempt_delay,
          .down_timer_adverts = config_->down_timer_adverts,
          .source = source_.value_or(IpAddress())};
}

void RunningRouter::start() {
  const auto config = config_;
  reconfigure(config);
}

void RunningRouter::reconfigure(std::shared_ptr<const config::VrrpInstance> config) {
  config_ = std::move(config);
  changed_ = true;
  last_list_.clear();
  advertised_.clear();
  for (const auto& address : config_->addresses) {
    if (address.prefix.address.is_v4()) advertised_.push_back(address.prefix.address);
  }
  expectation_ = {.version = config_->version,
                  .vrid = config_->vrid,
                  .multicast = !config_->unicast,
                  .checksum_without_pseudo_header = config_->v3_checksum_as_v2,
                  .interval = config_->advert_interval,
                  .auth_password = config_->auth_password,
                  .unicast_peers = config_->unicast_peers,
                  .empty_address_list = advertised_.empty()};
  auto items = tracked_items(*config_);
  watched_interfaces_.clear();
  for (const auto& item : items) {
    if (item.kind == vrrp::TrackedKind::interface) watched_interfaces_.insert(item.name);
  }
  tracking_.configure(config_->priority, std::move(items));
  for (const auto& tracked : config_->track_scripts) {
    tracking_.set(vrrp::TrackedKind::script, tracked.script, edge_.script_health(tracked.script));
  }
  held_.configure(all_addresses(*config_), config_->priority == 255, *edge_.network);
  virtual_addresses_.clear();
  for (const auto& wanted : held_.wanted()) virtual_addresses_.insert(wanted.prefix.address);
  if (edge_.addresses == nullptr) return;
  // Before the machine hears of its new parameters: the source address is one of them.
  observe_host();
  if (!(machine_.parameters() == parameters())) handle(vrrp::ParametersChanged{parameters()});
  told_.priority = machine_.effective_priority();
  if (machine_.state() == vrrp::State::active && config_->announce.refresh > Duration::zero()) {
    refresh_.arm(edge_.loop.now() + config_->announce.refresh);
  } else {
    refresh_.disarm();
  }
  reassess();
  work();
}

void RunningRouter::set_script_health(const std::string& script, vrrp::Health health) {
  tracking_.set(vrrp::TrackedKind::script, script, health);
  if (edge_.addresses != nullptr) reassess();
}

void RunningRouter::network_changed(const net::NetworkChanges& changes) {
  const auto is_virtual = [&](const net::InterfaceAddress& address) {
    return virtual_addresses_.contains(address.prefix.address);
  };
  // Another address of the interface may be the one to send from.
  const auto may_be_source = [&](const net::InterfaceAddress& address) {
    return address.index == link_index_ && !is_virtual(address);
  };
  // IPv4 addresses that come are our own doing; there may be ten thousand of them. IPv6 ones appear later than asked
  // for.
  const auto is_v6 = [](const net::InterfaceAddress& address) { return !address.prefix.address.is_v4(); };
  const bool taken_away = std::ranges::any_of(changes.removed, is_virtual);
  const bool host_changed = !changes.links.empty() || std::ranges::any_of(changes.added, may_be_source) ||
                            std::ranges::any_of(changes.removed, may_be_source);
  if (host_changed || taken_away || std::ranges::any_of(changes.added, is_virtual)) changed_ = true;
  if (edge_.addresses == nullptr) return;
  if (host_changed) {
    observe_host();
    if (!(machine_.parameters() == parameters())) handle(vrrp::ParametersChanged{parameters()});
    // Before addresses are put back: an interface that went away has taken its addresses with it.
    reassess();
  }
  if (changes.links.empty() && !taken_away && std::ranges::none_of(changes.added, is_v6)) return;
  for (const auto& taken : held_.network_changed(*edge_.network, config_->announce.repeat)) {
    edge_.counters->addresses_restored.fetch_add(1, std::memory_order_relaxed);
    limited_warning("restored", "(" + config_->name + ") Netlink reflector reports IP " +
                                    taken.prefix.address.to_string() + " removed from " + taken.interface +
                                    ", putting it back");
  }
  work();
}

// What the host gives us: interface, source address, socket; and the health of the interfaces watched.
void RunningRouter::observe_host() {
  const net::NetworkState& network = *edge_.network;
  const net::Link* link = network.find_link(config_->interface);
  link_index_ = link == nullptr ? 0 : link->index;
  source_ = find_source(link_index_);
  own_fault_.clear();
  if (link == nullptr) {
    own_fault_ = "interface " + config_->interface + " does not exist";
    close_socket();
  } else if (!source_) {
    own_fault_ = "interface " + config_->interface + " has no IPv4 address to send from";
    close_socket();
  } else {
    open_socket();
  }
  for (const auto& name : watched_interfaces_) {
    tracking_.set(vrrp::TrackedKind::interface, name, health_of(network.find_link(name)));
  }
}

std::optional<IpAddress> RunningRouter::find_source(int link_index) const {
  if (config_->source) return config_->source;
  const net::InterfaceAddress* best = nullptr;
  const auto& addresses = edge_.network->addresses;
  for (auto entry = addresses.lower_bound({link_index, IpPrefix{IpAddress(), 0}});
       entry != addresses.end() && entry->first.first == link_index; ++entry) {
    const auto& address = entry->second;
    if (!address.prefix.address.is_v4() || address.protocol == net::address_protocol) continue;
    if (virtual_addresses_.contains(address.prefix.address)) continue;
    if (best == nullptr || std::pair(address.secondary, address.order) < std::pair(best->secondary, best->order)) {
      best = &address;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->prefix.address;
}

void RunningRouter::open_socket() {
  const IpAddress local = config_->unicast ? *source_ : config_->multicast_group;
  if (socket_ && socket_key_ == std::pair(link_index_, local)) return;
  close_socket();
  auto shared = edge_.sockets->share(config_->interface, link_index_, local);
  if (!shared) {
    own_fault_ = shared.error().message;
    return;
  }
  socket_ = std::move(*shared);
  socket_key_ = {link_index_, local};
  socket_->add_reader(config_->vrid, [this](const net::Ipv4Packet& packet) { receive(packet); });
}

void RunningRouter::close_socket() {
  if (!socket_) return;
  socket_->remove_reader(config_->vrid);
  socket_.reset();
}

void RunningRouter::reassess() {
  vrrp::Assessment assessment = tracking_.assess();
  if (!own_fault_.empty()) assessment.fault = vrrp::FaultRaised{own_fault_};
  // Without an interface there is nothing to wait for.
  assessment.spoken = assessment.spoken || !own_fault_.empty() || told_.spoken;
  if (assessment == told_) return;
  const auto events = vrrp::changes(told_, assessment);
  told_ = std::move(assessment);
  for (const auto& event : events) handle(event);
}

void RunningRouter::handle(const vrrp::Event& event) {
  const vrrp::State before = machine_.state();
  const auto followed = machine_.active_router();
  const auto priority = machine_.effective_priority();
  const auto actions = machine_.handle(edge_.loop.now(), event);
  peer_caused_ = std::holds_alternative<vrrp::Received>(event) && machine_.state() == before;
  for (const auto& action : actions) {
    std::visit([this](const auto& wish) { perform(wish); }, action);
  }
  peer_caused_ = false;
  if (machine_.state() != before || machine_.active_router() != followed || machine_.effective_priority() != priority) {
    changed_ = true;
  }
  if (const auto deadline = machine_.next_deadline()) {
    deadline_.arm(*deadline);
  } else {
    deadline_.disarm();
  }
}

void RunningRouter::receive(const net::Ipv4Packet& packet) {
  const vrrp::Reception reception{packet.source, packet.destination, packet.ttl};
  auto advertisement = vrrp::parse_advertisement(packet.payload, reception, expectation_);
  if (!advertisement) {
    const auto reason = advertisement.error();
    counters_->discarded.at(static_cast<std::size_t>(reason)).fetch_add(1, std::memory_order_relaxed);
    limited_warning(to_string(reason), "(" + config_->name + ") discarded an advertisement from " +
                                           packet.source.to_string() + ": wrong " + std::string(to_string(reason)));
    return;
  }
  counters_->adverts_received.fetch_add(1, std::memory_order_relaxed);
  if (advertisement->priority == 0) counters_->priority_zero_received.fetch_add(1, std::memory_order_relaxed);
  if (advertisement->priority != 0) check_address_list(*advertisement, packet.source);
  handle(vrrp::Received{std::move(*advertisement), packet.source});
}

// Peers that disagree about the addresses are in the middle of a change, or misconfigured: said, not acted upon.
void RunningRouter::check_address_list(const vrrp::Advertisement& advertisement, const IpAddress& sender) {
  if (advertisement.addresses == advertised_ || advertisement.addresses == last_list_) return;
  last_list_ = advertisement.addresses;
  if (vrrp::advertises_exactly(advertisement, advertised_)) return;
  limited_warning("addresses", "(" + config_->name + ") " + sender.to_string() + " advertises " +
                                   std::to_string(advertisement.addresses.size()) + " addresses, ours are " +
                                   std::to_string(advertised_.size()) + " and not the same");
}

void RunningRouter::shut_down() {
  deadline_.disarm();
  if (edge_.addresses == nullptr) return;
  handle(vrrp::Shutdown{});
  while (work()) {
  }
}

status::VirtualRouterStatus RunningRouter::status() const {
  status::VirtualRouterStatus result;
  result.name = config_->name;
  result.vrid = config_->vrid;
  result.family = RouterId::of(*config_).family;
  result.version = config_->version;
  result.interface = config_->interface;
  result.state = std::string(to_string(machine_.state()));
  result.since = since_;
  result.priority = config_->priority;
  result.effective_priority = machine_.effective_priority();
  result.advert_interval_seconds = std::chrono::duration<double>(config_->advert_interval).count();
  if (const auto active = machine_.active_router()) result.active_router = active->to_string();
  for (const auto& address : held_.wanted()) {
    const net::Link* link = edge_.network->find_link(address.interface);
    const bool present = link != nullptr && edge_.network->has_address(link->index, address.prefix);
    result.addresses.push_back({address.prefix.to_string(), address.interface, present});
  }
  result.transitions.assign(transitions_.begin(), transitions_.end());
  return result;
}

}  // namespace vipkeeper::run
