#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/plan/plan.h"
#include "controller/plan/snapshot.h"

namespace vipkeeper::plan {

// Where this node stands among those that share the VIPs.
struct NodePlace {
  IpAddress address;  // the own one: --node-ip, else the Node's
  std::string interface;
  std::uint8_t priority = 100;   // 100 + rank by address, at most 254
  std::vector<IpAddress> peers;  // sorted numerically
  // By unicast, the others do not count this node in, and so neither hear it nor are heard by it: it must not hold what
  // they hold.
  bool left_out = false;
  bool operator==(const NodePlace&) const = default;
};

struct NodePlan {
  std::optional<NodePlace> place;  // none: not known (yet)
  Problems problems;               // by "Node NAME" or "Pod NAMESPACE/NAME"
};

// Finds the own node, its rank among the Nodes that match the own pod's nodeSelector, the others' addresses and the
// interface. Nodes that are NotReady or cordoned count, so that ranks do not move with them. `before` is what was found
// earlier: it stays in force while the node cannot be found, but for one that the others have lost sight of (left_out).
NodePlan plan_place(const Snapshot& snapshot, const std::vector<HostInterface>& interfaces,
                    const std::optional<NodePlace>& before);

// The Virtual Router that holds `addresses` (sorted numerically); null where there are none, or the node is left out.
// Of more than fit into one advertisement the rest is held without being advertised (RFC 9568 5.2.5: an 8-bit count).
std::shared_ptr<const VrrpPlan> build_vrrp(const NodePlace& place, const std::vector<VipAddress>& addresses,
                                           const PlanOptions& options, const std::vector<HostInterface>& interfaces);

}  // namespace vipkeeper::plan
