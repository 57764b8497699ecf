#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/config/config.h"
#include "engine/host/network.h"
#include "engine/host/table.h"
#include "engine/vrrp/tracking.h"

// What a virtual router sees of its host, and what it wants of it.
namespace vipkeeper::router {

// What one virtual router sees of its host.
struct HostView {
  std::optional<host::Link> link;  // its interface; none: it does not exist
  std::vector<IpAddress> sources;  // addresses it may send from, the best first: the configured one, where it is there
  std::vector<IpPrefix> neighbours;                // the subnets of the interface
  std::map<std::string, vrrp::Health> interfaces;  // those watched
  bool operator==(const HostView&) const = default;
};

// `is_virtual`: addresses that some router of this host has, or had, are nobody's source.
HostView observe(const config::VrrpInstance& instance, const host::NetworkState& network,
                 const std::function<bool(const host::InterfaceAddress&, const host::Link&)>& is_virtual);

// The interfaces whose links and addresses matter to a router: its own, those of its addresses, those it tracks.
std::set<std::string> interfaces_of(const config::VrrpInstance& instance);
// What it tracks: what the configuration names, and what is watched without being named (the router's own interface and
// those of its addresses).
std::vector<vrrp::TrackedItem> tracked_items(const config::VrrpInstance& instance);
// Its virtual addresses, the advertised ones first, each with its interface.
std::vector<host::HostAddress> host_addresses(const config::VrrpInstance& instance);

}  // namespace vipkeeper::router
