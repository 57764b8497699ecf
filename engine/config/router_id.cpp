#include "engine/config/router_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace vipkeeper::config {
namespace {

std::string transport_of(const VrrpInstance& instance) {
  if (instance.unicast_peers.empty()) return fmt::format("multicast {}", instance.multicast_group.to_string());
  std::vector<IpAddress> peers = instance.unicast_peers;
  std::ranges::sort(peers);
  std::string result = fmt::format("unicast {} with ", instance.source ? instance.source->to_string() : "*");
  for (std::size_t i = 0; i < peers.size(); ++i) result += (i > 0 ? "," : "") + peers[i].to_string();
  return result;
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
  if (a.unicast_peers.empty() != b.unicast_peers.empty()) return true;
  if (a.unicast_peers.empty()) return a.multicast_group == b.multicast_group;
  if (a.source && b.source && a.source != b.source) return false;
  return std::ranges::any_of(a.unicast_peers, [&](const IpAddress& peer) {
    return std::ranges::find(b.unicast_peers, peer) != b.unicast_peers.end();
  });
}

}  // namespace vipkeeper::config
