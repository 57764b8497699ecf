#include "engine/host/network.h"

#include <algorithm>

namespace vipkeeper::host {

const Link* NetworkState::find_link(std::string_view name) const {
  const auto known = by_name_.find(name);
  return known == by_name_.end() ? nullptr : find_link(known->second);
}

const Link* NetworkState::find_link(int index) const {
  const auto known = links_.find(index);
  return known == links_.end() ? nullptr : &known->second;
}

const InterfaceAddress* NetworkState::find_address(const AddressKey& key) const {
  const auto known = addresses_.find(key);
  return known == addresses_.end() ? nullptr : &known->second;
}

std::vector<const InterfaceAddress*> NetworkState::addresses_of(int index) const {
  std::vector<const InterfaceAddress*> result;
  for (auto entry = addresses_.lower_bound({index, IpPrefix{IpAddress(), 0}});
       entry != addresses_.end() && entry->first.index == index; ++entry) {
    result.push_back(&entry->second);
  }
  return result;
}

void NetworkState::apply(const Notification& notification, NetworkChanges& changes) {
  if (const auto* link = std::get_if<Link>(&notification)) return set(*link, changes);
  if (const auto* gone = std::get_if<LinkGone>(&notification)) return erase_link(gone->index, changes);
  if (const auto* address = std::get_if<InterfaceAddress>(&notification)) return set(*address, changes);
  erase_address(std::get<AddressGone>(notification).key, changes);
}

void NetworkState::set(const Link& link, NetworkChanges& changes) {
  const auto [place, is_new] = links_.try_emplace(link.index, link);
  LinkChange change{std::nullopt, link};
  if (!is_new) {
    if (place->second == link) return;
    change.before = std::exchange(place->second, link);
    const auto named = by_name_.find(change.before->name);
    if (named != by_name_.end() && named->second == link.index) by_name_.erase(named);
  }
  by_name_[link.name] = link.index;
  changes.links.push_back(std::move(change));
}

void NetworkState::erase_link(int index, NetworkChanges& changes) {
  const auto known = links_.find(index);
  if (known == links_.end()) return;
  for (const auto* address : addresses_of(index)) erase_address(AddressKey(address->key), changes);
  const auto named = by_name_.find(known->second.name);
  if (named != by_name_.end() && named->second == index) by_name_.erase(named);
  changes.links.push_back({std::move(known->second), std::nullopt});
  links_.erase(known);
}

void NetworkState::set(const InterfaceAddress& address, NetworkChanges& changes) {
  const auto [place, is_new] = addresses_.try_emplace(address.key, address);
  if (is_new) {
    place->second.order = next_order_++;
  } else if (place->second == address) {
    return;
  } else {
    const auto order = place->second.order;
    place->second = address;
    place->second.order = order;
  }
  changes.added.push_back(place->second);
}

void NetworkState::erase_address(const AddressKey& key, NetworkChanges& changes) {
  const auto known = addresses_.find(key);
  if (known == addresses_.end()) return;
  changes.removed.push_back(known->second);
  addresses_.erase(known);
}

NetworkState make_state(std::span<const Notification> read) {
  NetworkState state;
  NetworkChanges ignored;
  for (const auto& said : read) state.apply(said, ignored);
  return state;
}

NetworkChanges difference(const NetworkState& before, const NetworkState& after) {
  NetworkChanges changes;
  for (const auto& [index, link] : before.links()) {
    const Link* now = after.find_link(index);
    if (now == nullptr) changes.links.push_back({link, std::nullopt});
    if (now != nullptr && *now != link) changes.links.push_back({link, *now});
  }
  for (const auto& [index, link] : after.links()) {
    if (before.find_link(index) == nullptr) changes.links.push_back({std::nullopt, link});
  }
  for (const auto& [key, address] : before.addresses()) {
    if (after.find_address(key) == nullptr) changes.removed.push_back(address);
  }
  for (const auto& [key, address] : after.addresses()) {
    const auto* known = before.find_address(key);
    if (known == nullptr || *known != address) changes.added.push_back(address);
  }
  return changes;
}

}  // namespace vipkeeper::host
