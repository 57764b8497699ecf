#include "engine/router/observation.h"

#include <algorithm>

namespace vipkeeper::router {
namespace {

// RFC 9568 names none; people's files have one address family, and the engine speaks VRRP over IPv4.
bool may_send_from(const host::InterfaceAddress& address) { return address.key.prefix.address.is_v4(); }

vrrp::Health health_of(const host::Link* link) {
  return link != nullptr && link->usable() ? vrrp::Health::ok : vrrp::Health::failed;
}

}  // namespace

HostView observe(const config::VrrpInstance& instance, const host::NetworkState& network,
                 const std::function<bool(const host::InterfaceAddress&, const host::Link&)>& is_virtual) {
  HostView view;
  const host::Link* link = network.find_link(instance.interface);
  if (link != nullptr) {
    view.link = *link;
    // There may be ten thousand virtual ones: they are left out before anything is sorted.
    std::vector<const host::InterfaceAddress*> sources;
    for (const auto* address : network.addresses_of(link->index)) {
      if (!may_send_from(*address)) continue;
      const auto& prefix = address->key.prefix;
      if (prefix.length < prefix.address.bit_length()) view.neighbours.push_back(prefix);
      if (instance.source ? prefix.address == *instance.source : !is_virtual(*address, *link))
        sources.push_back(address);
    }
    std::ranges::sort(sources, {}, [](const auto* address) { return std::pair(address->secondary, address->order); });
    for (const auto* address : sources) {
      const IpAddress& own = address->key.prefix.address;
      if (std::ranges::find(view.sources, own) == view.sources.end()) view.sources.push_back(own);
    }
  }
  for (const auto& item : tracked_items(instance)) {
    if (item.kind == vrrp::TrackedKind::interface) {
      view.interfaces[item.name] = health_of(network.find_link(item.name));
    }
  }
  return view;
}

std::vector<vrrp::TrackedItem> tracked_items(const config::VrrpInstance& instance) {
  std::vector<vrrp::TrackedItem> items;
  std::set<std::string> interfaces;
  for (const auto& tracked : instance.track_interfaces) {
    items.push_back({vrrp::TrackedKind::interface, tracked.interface, tracked.weight, tracked.reverse});
    interfaces.insert(tracked.interface);
  }
  const auto add_interface = [&](const std::string& name) {
    if (!interfaces.insert(name).second) return;
    items.push_back({vrrp::TrackedKind::interface, name, 0, false});
  };
  if (instance.track_primary_interface) add_interface(instance.interface);
  for (const auto* addresses : {&instance.addresses, &instance.excluded_addresses}) {
    for (const auto& address : *addresses) {
      const bool own = address.interface.empty() || address.interface == instance.interface;
      if (!address.no_track && !own) add_interface(address.interface);
    }
  }
  for (const auto& tracked : instance.track_scripts) {
    items.push_back({vrrp::TrackedKind::script, tracked.script, tracked.weight, tracked.reverse});
  }
  return items;
}

std::set<std::string> interfaces_of(const config::VrrpInstance& instance) {
  std::set<std::string> result{instance.interface};
  for (const auto& item : tracked_items(instance)) {
    if (item.kind == vrrp::TrackedKind::interface) result.insert(item.name);
  }
  for (const auto& address : host_addresses(instance)) result.insert(address.interface);
  return result;
}

std::vector<host::HostAddress> host_addresses(const config::VrrpInstance& instance) {
  std::vector<host::HostAddress> result;
  result.reserve(instance.addresses.size() + instance.excluded_addresses.size());
  for (const auto* addresses : {&instance.addresses, &instance.excluded_addresses}) {
    for (const auto& address : *addresses) {
      result.push_back({.interface = address.interface.empty() ? instance.interface : address.interface,
                        .prefix = address.prefix,
                        .scope = static_cast<std::uint8_t>(address.scope),
                        .label = address.label,
                        .broadcast = address.broadcast});
    }
  }
  return result;
}

}  // namespace vipkeeper::router
