#include "engine/run/vrrp_addresses.h"

#include <algorithm>
#include <utility>

namespace vipkeeper::run {
namespace {

// What matters to the kernel: `no_track` does not.
bool same_in_kernel(const config::VirtualAddress& a, const config::VirtualAddress& b) {
  return a.prefix == b.prefix && a.interface == b.interface && a.scope == b.scope && a.label == b.label &&
         a.broadcast == b.broadcast;
}

net::AddressOperation operation(net::AddressOperation::Kind kind, const config::VirtualAddress& address,
                                int link_index) {
  return {kind,          link_index,       address.interface, address.prefix, static_cast<std::uint8_t>(address.scope),
          address.label, address.broadcast};
}

}  // namespace

void HeldAddresses::configure(std::vector<config::VirtualAddress> wanted, bool owner,
                              const net::NetworkState& network) {
  wanted_ = std::move(wanted);
  owner_ = owner;
  if (!holding_) return;

  std::vector<Held> before = std::exchange(held_, {});
  std::map<std::pair<IpPrefix, std::string>, Held*> known;
  for (Held& held : before) {
    if (held.link_index != 0) known[{held.address.prefix, held.address.interface}] = &held;
  }
  for (const auto& address : wanted_) {
    const auto same = known.find({address.prefix, address.interface});
    if (same != known.end() && same->second != nullptr && same_in_kernel(same->second->address, address)) {
      held_.push_back(*same->second);
      same->second = nullptr;
    } else {
      held_.push_back({address, 0, false, false});
    }
  }
  for (const auto& [key, gone] : known) {
    if (gone != nullptr && network.links.contains(gone->link_index)) remove(*gone);
  }
  add_missing(new_repeat_);
}

void HeldAddresses::hold() {
  if (holding_) return;
  holding_ = true;
  held_.clear();
  for (const auto& address : wanted_) held_.push_back({address, 0, false, false});
  to_add_ = 0;
  rounds_ = 0;
}

std::vector<config::VirtualAddress> HeldAddresses::release(const net::NetworkState& network) {
  std::vector<config::VirtualAddress> found;
  if (holding_) {
    // Backwards: the kernel takes an interface's secondary addresses away together with their primary one.
    for (auto held = held_.rbegin(); held != held_.rend(); ++held) {
      if (held->link_index != 0) remove(*held);
    }
  } else if (!owner_) {
    for (const auto& address : wanted_) {
      const net::Link* link = network.find_link(address.interface);
      if (link == nullptr || !network.has_address(link->index, address.prefix)) continue;
      remove({address, link->index, false, false});
      found.push_back(address);
    }
  }
  holding_ = false;
  held_.clear();
  to_add_ = 0;
  rounds_ = 0;
  return found;
}

void HeldAddresses::remove(const Held& held) {
  if (held.foreign && owner_) return;
  removals_.push_back(operation(net::AddressOperation::Kind::remove, held.address, held.link_index));
}

void HeldAddresses::announce(unsigned repeat) {
  if (!holding_) return;
  new_repeat_ = std::max(repeat, 1U);
  rounds_ = new_repeat_;
  announce_begin_ = 0;
  to_announce_ = 0;
}

// Brings those that are not on an interface to the end, to be tried and announced from there.
void HeldAddresses::add_missing(unsigned repeat) {
  // Those that the running block has not reached yet keep their place in it only if it starts over.
  const bool block_under_way = rounds_ > 0;
  const auto missing =
      std::stable_partition(held_.begin(), held_.end(), [](const Held& h) { return h.link_index != 0; });
  to_add_ = static_cast<std::size_t>(missing - held_.begin());
  if (missing == held_.end() && !block_under_way) return;
  announce_begin_ = block_under_way ? 0 : to_add_;
  to_announce_ = announce_begin_;
  rounds_ = std::max({repeat, rounds_, 1U});
}

std::vector<config::VirtualAddress> HeldAddresses::network_changed(const net::NetworkState& network, unsigned repeat) {
  std::vector<config::VirtualAddress> taken;
  if (!holding_) return taken;
  bool missing = false;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    Held& held = held_[i];
    const bool tried = i < to_add_;
    const bool present = held.link_index != 0 && network.has_address(held.link_index, held.address.prefix);
    if (present) held.seen = true;
    if (held.link_index != 0 && !present && held.seen) {
      if (network.links.contains(held.link_index)) taken.push_back(held.address);
      held.link_index = 0;
      held.foreign = false;
    }
    if (tried && held.link_index == 0 && network.find_link(held.address.interface) != nullptr) missing = true;
  }
  if (missing) add_missing(repeat);
  return taken;
}

std::vector<net::AddressOperation> HeldAddresses::next_operations(std::size_t budget,
                                                                  const net::NetworkState& network) {
  std::vector<net::AddressOperation> operations;
  while (to_remove_ < removals_.size() && operations.size() < budget) {
    operations.push_back(std::move(removals_[to_remove_++]));
  }
  if (to_remove_ < removals_.size()) return operations;
  removals_.clear();
  to_remove_ = 0;
  const net::Link* link = nullptr;
  for (; to_add_ < held_.size() && operations.size() < budget; ++to_add_) {
    Held& held = held_[to_add_];
    if (link == nullptr || link->name != held.address.interface) link = network.find_link(held.address.interface);
    if (link == nullptr) continue;  // network_changed() tries again
    held.link_index = link->index;
    held.foreign = network.has_address(link->index, held.address.prefix);
    held.seen = held.foreign || held.address.prefix.address.is_v4();
    operations.push_back(operation(net::AddressOperation::Kind::add, held.address, link->index));
  }
  return operations;
}

void HeldAddresses::failed(const net::AddressOperation& operation) {
  if (operation.kind != net::AddressOperation::Kind::add) return;
  for (Held& held : held_) {
    if (held.link_index == operation.link_index && held.address.prefix == operation.prefix) held.link_index = 0;
  }
}

std::map<int, std::vector<IpAddress>> HeldAddresses::next_announcements(std::size_t budget) {
  std::map<int, std::vector<IpAddress>> announcements;
  while (rounds_ > 0 && budget > 0) {
    if (to_announce_ >= held_.size()) {
      --rounds_;
      to_announce_ = announce_begin_;
      if (announce_begin_ >= held_.size()) rounds_ = 0;
      continue;
    }
    if (to_announce_ >= to_add_) break;  // not added yet
    const Held& held = held_[to_announce_++];
    --budget;
    if (held.link_index != 0) announcements[held.link_index].push_back(held.address.prefix.address);
  }
  return announcements;
}

bool HeldAddresses::idle() const { return removals_.empty() && to_add_ >= held_.size() && rounds_ == 0; }

}  // namespace vipkeeper::run
