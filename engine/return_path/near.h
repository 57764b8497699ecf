#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "engine/base/ip_address.h"

namespace vipkeeper::return_path {

// A network that this node reaches without a gateway, over one interface.
struct AttachedNetwork {
  IpPrefix network;         // without host bits
  int interface = 0;        // its index
  bool leads_away = false;  // some route goes by a gateway over the same interface
  auto operator<=>(const AttachedNetwork&) const = default;
};

// Real servers' addresses, each named by any number of virtual services.
class AddressCount {
 public:
  // True: it is there now for the first time (no longer at all).
  bool add(const IpAddress& address) { return count_[address]++ == 0; }
  bool remove(const IpAddress& address);
  [[nodiscard]] bool empty() const { return count_.empty(); }
  // One of them is in the network.
  [[nodiscard]] bool any_in(const IpPrefix& network) const;
  // In numerical order.
  [[nodiscard]] const std::map<IpAddress, std::size_t>& addresses() const { return count_; }

 private:
  std::map<IpAddress, std::size_t> count_;
};

// The networks of `attached` from which a reply to a client outside them cannot but pass this node: those that hold a
// real server on this node (`here`), none elsewhere (`elsewhere`), and whose interface leads nowhere else. A pod bridge
// or a pod's own veth is one; the segment that the nodes share is none, nor a network that spans nodes. No network of
// the result is inside another.
std::set<IpPrefix> near_networks(const AddressCount& here, const AddressCount& elsewhere,
                                 const std::vector<AttachedNetwork>& attached);

// Of the family's.
bool holds(const std::set<IpPrefix>& networks, const IpAddress& address);

}  // namespace vipkeeper::return_path
