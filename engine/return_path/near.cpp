#include "engine/return_path/near.h"

#include <algorithm>

namespace vipkeeper::return_path {
namespace {

// The one that the kernel would take.
const AttachedNetwork* longest_match(const IpAddress& address, const std::vector<AttachedNetwork>& attached) {
  const AttachedNetwork* best = nullptr;
  for (const AttachedNetwork& candidate : attached) {
    if (!candidate.network.contains(address)) continue;
    if (best == nullptr || candidate.network.length > best->network.length) best = &candidate;
  }
  return best;
}

}  // namespace

bool AddressCount::remove(const IpAddress& address) {
  const auto found = count_.find(address);
  if (found == count_.end() || --found->second != 0) return false;
  count_.erase(found);
  return true;
}

bool AddressCount::any_in(const IpPrefix& network) const {
  const auto first = count_.lower_bound(network.address);
  return first != count_.end() && network.contains(first->first);
}

bool holds(const std::set<IpPrefix>& networks, const IpAddress& address) {
  return std::ranges::any_of(networks, [&](const IpPrefix& network) { return network.contains(address); });
}

std::set<IpPrefix> near_networks(const AddressCount& here, const AddressCount& elsewhere,
                                 const std::vector<AttachedNetwork>& attached) {
  std::set<IpPrefix> found;
  for (const auto& [address, count] : here.addresses()) {
    const AttachedNetwork* network = longest_match(address, attached);
    if (network == nullptr || network->leads_away || network->network.length == 0) continue;
    found.insert(network->network);
  }
  std::erase_if(found, [&](const IpPrefix& network) { return elsewhere.any_in(network); });
  // What is inside another says nothing more, and a set in the kernel would refuse it.
  const auto all = found;
  std::erase_if(found, [&](const IpPrefix& network) {
    return std::ranges::any_of(
        all, [&](const IpPrefix& other) { return other.length < network.length && other.contains(network.address); });
  });
  return found;
}

}  // namespace vipkeeper::return_path
