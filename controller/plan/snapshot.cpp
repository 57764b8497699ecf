#include "controller/plan/snapshot.h"

#include <algorithm>
#include <utility>

namespace vipkeeper::plan {

namespace {

using objects::EndpointSlice;
using objects::ObjectChange;

// The new state as its own type; null: deleted, or not of that type, which is the same for the plan.
template <class T>
std::shared_ptr<const T> as(const ObjectChange& change) {
  if (change.object == nullptr) return nullptr;
  const T* object = std::get_if<T>(change.object.get());
  return {change.object, object};
}

template <class T>
bool equal(const std::shared_ptr<const T>& one, const std::shared_ptr<const T>& other) {
  return one == other || (one != nullptr && other != nullptr && *one == *other);
}

std::string full_name(const objects::ObjectKey& key) { return key.name_space + "/" + key.name; }

// Puts `now` in `map[name]` (null: takes it out) and gives what was there.
template <class Map>
typename Map::mapped_type exchange_in(Map& map, const std::string& name, typename Map::mapped_type now) {
  const auto found = map.find(name);
  if (found == map.end()) {
    if (now != nullptr) map.emplace(name, std::move(now));
    return nullptr;
  }
  if (now != nullptr) return std::exchange(found->second, std::move(now));
  auto was = std::move(found->second);
  map.erase(found);
  return was;
}

void append_pods(const EndpointSlice& slice, std::vector<IpAddress>& to) {
  for (const auto& endpoint : slice.endpoints) {
    if (endpoint.is_pod) to.push_back(endpoint.address);
  }
}

std::vector<IpAddress> pods_of(const EndpointSlice* slice) {
  std::vector<IpAddress> result;
  if (slice != nullptr) append_pods(*slice, result);
  return result;
}

std::vector<IpAddress> pods_of(const objects::Endpoints* endpoints) {
  std::vector<IpAddress> result;
  if (endpoints == nullptr) return result;
  for (const auto& subset : endpoints->subsets) append_pods(subset, result);
  return result;
}

// All that a Node reports, in the order of preference.
std::vector<IpAddress> addresses_of(const objects::Node* node) {
  std::vector<IpAddress> result;
  if (node == nullptr) return result;
  result = node->internal_addresses;
  result.insert(result.end(), node->external_addresses.begin(), node->external_addresses.end());
  return result;
}

// A node is known by the first of its addresses that no entry claims, else by the first.
template <class Claims>
std::optional<IpAddress> first_unclaimed(const std::vector<IpAddress>& addresses, Family family, const Claims& claims) {
  std::optional<IpAddress> first;
  for (const auto& address : addresses) {
    if (address.family() != family) continue;
    if (!claims.contains(address)) return address;
    if (!first) first = address;
  }
  return first;
}

// The keys that one of two ConfigMaps has alone or with another text. Both are in order: one walk along them.
void touch_entries(const objects::ConfigMap* was, const objects::ConfigMap& now, std::set<std::string>& keys) {
  static const objects::ConfigMap nothing;
  const auto& before = was != nullptr ? was->data : nothing.data;
  auto old = before.begin();
  for (const auto& [key, text] : now.data) {
    for (; old != before.end() && old->first < key; ++old) keys.insert(old->first);
    const bool known = old != before.end() && old->first == key;
    if (!known || old->second != text) keys.insert(key);
    if (known) ++old;
  }
  for (; old != before.end(); ++old) keys.insert(old->first);
}

}  // namespace

Snapshot::Snapshot(PlanOptions options) : options_(std::move(options)), own_node_(own_node_name()) {}

void Snapshot::apply(const ObjectChange& change, Touched& touched) {
  switch (change.key.kind) {
    case objects::Kind::config_map:
      return apply_config_map(change, touched);
    case objects::Kind::service:
      return apply_service(change, touched);
    case objects::Kind::endpoint_slice:
      return apply_slice(change, touched);
    case objects::Kind::endpoints:
      return apply_endpoints(change, touched);
    case objects::Kind::node:
      apply_node(change, touched);
      return update_own_node(touched);
    case objects::Kind::pod:
      apply_pod(change, touched);
      return update_own_node(touched);
  }
}

std::string Snapshot::own_node_name() const {
  if (!options_.node_name.empty()) return options_.node_name;
  return own_pod_ != nullptr && !own_pod_->node_name.empty() ? own_pod_->node_name : options_.host_name;
}

void Snapshot::update_own_node(Touched& touched) {
  std::string name = own_node_name();
  if (options_.node_ip && !nodes_.contains(name)) {
    const auto found =
        std::ranges::find_if(nodes_, [&](const auto& entry) { return identifies(*entry.second, *options_.node_ip); });
    if (found != nodes_.end()) name = found->first;
  }
  if (name == own_node_) return;
  own_node_ = std::move(name);
  touched.own_node = true;
  if (options_.node_ip) touched.addresses.insert(*options_.node_ip);
}

void Snapshot::apply_config_map(const ObjectChange& change, Touched& touched) {
  if (change.key.name_space != options_.config_map_namespace || change.key.name != options_.config_map_name) return;
  auto now = as<objects::ConfigMap>(change);
  const bool deleted = now == nullptr && config_map_ != nullptr;
  if (deleted == config_map_deleted_ && (now == nullptr || equal(config_map_, now))) return;
  touched.config_map = true;
  config_map_deleted_ = deleted;
  if (now == nullptr) return;
  touch_entries(config_map_.get(), *now, touched.entries);
  config_map_ = std::move(now);
}

void Snapshot::apply_service(const ObjectChange& change, Touched& touched) {
  if (!watched(change.key.name_space)) return;
  const std::string name = full_name(change.key);
  const auto now = as<objects::Service>(change);
  const auto was = exchange_in(services_, name, now);
  if (equal(was, now)) return;
  touched.services.insert(name);
  const Addresses none;
  move_owner(services_of_address_, name, was ? was->cluster_ips : none, now ? now->cluster_ips : none, touched);
}

void Snapshot::apply_slice(const ObjectChange& change, Touched& touched) {
  if (!watched(change.key.name_space)) return;
  const std::string slice_name = full_name(change.key);
  const auto now = as<EndpointSlice>(change);
  const auto service_of = [&](const EndpointSlice* slice) {
    return slice == nullptr || slice->service.empty() ? std::string() : change.key.name_space + "/" + slice->service;
  };
  const std::string service_now = service_of(now.get());
  std::shared_ptr<const EndpointSlice> was;
  if (const auto known = service_of_slice_.find(slice_name); known != service_of_slice_.end()) {
    const auto slices = slices_.find(known->second);
    was = exchange_in(slices->second, slice_name, nullptr);
    if (equal(was, now)) {
      slices->second.emplace(slice_name, now);
      return;
    }
    touched.services.insert(known->second);
    if (slices->second.empty() && known->second != service_now) slices_.erase(slices);
    service_of_slice_.erase(known);
  }
  if (!service_now.empty()) {
    slices_[service_now].emplace(slice_name, now);
    service_of_slice_.emplace(slice_name, service_now);
    touched.services.insert(service_now);
  }
  move_pods(pods_of(was.get()), pods_of(service_now.empty() ? nullptr : now.get()), touched);
}

void Snapshot::apply_endpoints(const ObjectChange& change, Touched& touched) {
  if (!watched(change.key.name_space)) return;
  const std::string name = full_name(change.key);
  const auto now = as<objects::Endpoints>(change);
  const auto was = exchange_in(endpoints_, name, now);
  if (equal(was, now)) return;
  touched.services.insert(name);
  move_pods(pods_of(was.get()), pods_of(now.get()), touched);
}

void Snapshot::apply_node(const ObjectChange& change, Touched& touched) {
  const auto now = as<objects::Node>(change);
  const auto was = exchange_in(nodes_, change.key.name, now);
  if (equal(was, now)) return;
  touched.nodes = true;
  if (options_.node_ip) touched.addresses.insert(*options_.node_ip);
  move_owner(reporters_, change.key.name, addresses_of(was.get()), addresses_of(now.get()), touched);
  const std::vector<IpPrefix> none;
  const auto& ranges_were = was ? was->pod_cidrs : none;
  const auto& ranges_are = now ? now->pod_cidrs : none;
  if (ranges_were == ranges_are) return;
  touched.ranges.insert(touched.ranges.end(), ranges_were.begin(), ranges_were.end());
  touched.ranges.insert(touched.ranges.end(), ranges_are.begin(), ranges_are.end());
}

void Snapshot::apply_pod(const ObjectChange& change, Touched& touched) {
  const std::string name = full_name(change.key);
  const auto now = as<objects::Pod>(change);
  const auto was = exchange_in(pods_, name, now);
  if (equal(was, now)) return;
  if (change.key.name_space == options_.pod_namespace && change.key.name == options_.pod_name && now != nullptr) {
    touched.nodes = true;
    own_pod_ = now;
  }
  const Addresses none;
  move_pods(was ? was->addresses : none, now ? now->addresses : none, touched);
}

bool Snapshot::watched(const std::string& name_space) const {
  return options_.watch_namespace.empty() || options_.watch_namespace == name_space;
}

const objects::Service* Snapshot::service(const std::string& service) const {
  const auto found = services_.find(service);
  return found == services_.end() ? nullptr : found->second.get();
}

std::vector<const EndpointSlice*> Snapshot::slices(const std::string& service) const {
  std::vector<const EndpointSlice*> result;
  if (const auto found = slices_.find(service); found != slices_.end() && !found->second.empty()) {
    for (const auto& [name, slice] : found->second) result.push_back(slice.get());
  } else if (const auto endpoints = endpoints_.find(service); endpoints != endpoints_.end()) {
    for (const auto& subset : endpoints->second->subsets) result.push_back(&subset);
  }
  return result;
}

void Snapshot::claim(const std::string& key, Addresses addresses, Touched& touched) {
  std::ranges::sort(addresses);
  const auto rest = std::ranges::unique(addresses);
  addresses.erase(rest.begin(), rest.end());
  Addresses turned;  // claimed from now on, or no longer
  auto& claimed = claimed_[key];
  for (const auto& address : claimed) {
    if (std::ranges::binary_search(addresses, address)) continue;
    const auto found = claims_.find(address);
    found->second.erase(key);
    if (!found->second.empty()) continue;
    claims_.erase(found);
    turned.push_back(address);
  }
  for (const auto& address : addresses) {
    auto& entries = claims_[address];
    if (entries.empty()) turned.push_back(address);
    entries.insert(key);
  }
  claimed = std::move(addresses);
  if (claimed.empty()) claimed_.erase(key);
  for (const auto& address : turned) touch_reporters(address, touched);
  if (options_.node_ip && !turned.empty()) update_own_node(touched);
}

// The Nodes that report the address may be known by another one now.
void Snapshot::touch_reporters(const IpAddress& address, Touched& touched) {
  const auto reporters = reporters_.find(address);
  if (reporters == reporters_.end() && options_.node_ip != address) return;
  touched.nodes = true;
  if (options_.node_ip) touched.addresses.insert(*options_.node_ip);
  if (reporters == reporters_.end()) return;
  for (const auto& name : reporters->second) {
    const auto reported = addresses_of(nodes_.at(name).get());
    touched.addresses.insert(reported.begin(), reported.end());
  }
}

std::optional<IpAddress> Snapshot::known_address(const objects::Node& node, Family family) const {
  return first_unclaimed(addresses_of(&node), family, claims_);
}

bool Snapshot::identifies(const objects::Node& node, const IpAddress& address) const {
  if (known_address(node, address.family()) == address) return true;
  const auto addresses = addresses_of(&node);
  return !claims_.contains(address) && std::ranges::find(addresses, address) != addresses.end();
}

std::optional<IpAddress> Snapshot::own_address() const {
  Addresses candidates;
  if (options_.node_ip) candidates.push_back(*options_.node_ip);
  if (const auto own = nodes_.find(own_node_); own != nodes_.end()) {
    const auto reported = addresses_of(own->second.get());
    candidates.insert(candidates.end(), reported.begin(), reported.end());
  }
  return first_unclaimed(candidates, Family::ipv4, claims_);
}

const std::string* Snapshot::reporter_of(const IpAddress& address) const {
  const auto reporters = reporters_.find(address);
  if (reporters == reporters_.end()) return nullptr;
  const auto found = std::ranges::find_if(reporters->second, [&](const std::string& name) {
    return known_address(*nodes_.at(name), address.family()) != address;
  });
  return found == reporters->second.end() ? nullptr : &*found;
}

std::string Snapshot::user_of(const IpAddress& address) const {
  const auto reporters = reporters_.find(address);
  if (reporters != reporters_.end()) {
    for (const auto& name : reporters->second) {
      if (known_address(*nodes_.at(name), address.family()) == address) return "Node " + name;
    }
  }
  if (options_.node_ip == address && own_address() == address) return "this node (--node-ip)";
  if (const auto services = services_of_address_.find(address); services != services_of_address_.end())
    return "Service " + *services->second.begin();
  return reporters == reporters_.end() && pod_addresses_.contains(address) ? "a pod" : std::string();
}

std::string Snapshot::pod_range_owner(const IpAddress& address) const {
  for (const auto& [name, node] : nodes_) {
    for (const auto& range : node->pod_cidrs) {
      if (range.contains(address)) return name;
    }
  }
  return {};
}

void Snapshot::move_owner(Owners& owners, const std::string& owner, const Addresses& gone, const Addresses& come,
                          Touched& touched) {
  if (gone == come) return;
  for (const auto& address : gone) {
    const auto found = owners.find(address);
    if (found == owners.end()) continue;  // named twice by one object
    found->second.erase(owner);
    if (found->second.empty()) owners.erase(found);
    touched.addresses.insert(address);
  }
  for (const auto& address : come) {
    owners[address].insert(owner);
    touched.addresses.insert(address);
  }
}

void Snapshot::move_pods(Addresses gone, Addresses come, Touched& touched) {
  std::ranges::sort(gone);
  std::ranges::sort(come);
  Addresses only_gone;
  Addresses only_come;
  std::ranges::set_difference(gone, come, std::back_inserter(only_gone));
  std::ranges::set_difference(come, gone, std::back_inserter(only_come));
  for (const auto& address : only_gone) {
    if (--pod_addresses_[address] > 0) continue;
    pod_addresses_.erase(address);
    touched.addresses.insert(address);
  }
  for (const auto& address : only_come) {
    if (pod_addresses_[address]++ == 0) touched.addresses.insert(address);
  }
}

}  // namespace vipkeeper::plan
