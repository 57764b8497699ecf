#include "engine/config/router_id.h"

#include <algorithm>

namespace vipkeeper::config {
namespace {

std::string transport_of(const VrrpInstance& instance) {
  return instance.unicast ? "unicast" : "multicast " + instance.multicast_group.to_string();
}

}  // namespace

Family family_of(const VrrpInstance& instance) {
  if (!instance.addresses.empty()) return instance.addresses.front().prefix.address.family();
  if (!instance.excluded_addresses.empty()) return instance.excluded_addresses.front().prefix.address.family();
  return instance.source ? instance.source->family() : Family::ipv4;
}

RouterId RouterId::of(const VrrpInstance& instance) {
  return {instance.interface, instance.vrid, family_of(instance), transport_of(instance)};
}

bool hear_each_other(const VrrpInstance& a, const VrrpInstance& b) {
  if (a.interface != b.interface || a.vrid != b.vrid || family_of(a) != family_of(b)) return false;
  if (a.unicast != b.unicast) return true;
  if (!a.unicast) return a.multicast_group == b.multicast_group;
  if (a.source && b.source && a.source != b.source) return false;
  return std::ranges::any_of(a.unicast_peers, [&](const IpAddress& peer) {
    return std::ranges::find(b.unicast_peers, peer) != b.unicast_peers.end();
  });
}

}  // namespace vipkeeper::config
