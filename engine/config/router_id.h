#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "engine/config/config.h"

namespace vipkeeper::config {

// By what a virtual router is found again after a reload, which changes its name or its peers. Two of one host that
// share it are two only if they cannot hear each other.
struct RouterId {
  std::string interface;
  std::uint8_t vrid = 0;
  Family family = Family::ipv4;
  // "multicast 224.0.0.18" or "unicast".
  std::string transport;

  static RouterId of(const VrrpInstance& instance);

  auto operator<=>(const RouterId&) const = default;
};

// IPv4 or IPv6: that of its addresses, else of its source.
Family family_of(const VrrpInstance& instance);

// Whether an ADVERTISEMENT that is meant for one could be taken for one to the other: one interface, VRID and family,
// and the same group, or a peer in common and sources that may be the same. Where one is multicast and the other is
// unicast they are told apart by nothing that both see.
bool hear_each_other(const VrrpInstance& a, const VrrpInstance& b);

}  // namespace vipkeeper::config
