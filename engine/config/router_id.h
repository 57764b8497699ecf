#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "engine/config/config.h"

namespace vipkeeper::config {

// What makes two Virtual Routers of one host two: what their ADVERTISEMENTS are told apart by when they arrive.
struct RouterId {
  std::string interface;
  std::uint8_t vrid = 0;
  Family family = Family::ipv4;
  // "multicast 224.0.0.18", "unicast 10.0.0.1 with 10.0.0.2,10.0.0.3"; the source is "*" where it is the interface's
  // own. The peers' order in the text plays no part.
  std::string transport;

  static RouterId of(const VrrpInstance& instance);

  auto operator<=>(const RouterId&) const = default;
};

// IPv4 or IPv6: that of its addresses, else of its source.
Family family_of(const VrrpInstance& instance);

// Whether an ADVERTISEMENT that is meant for one could be taken for one to the other: one interface, VRID and family,
// and the same group, or a peer in common and sources that may be the same. Where one is multicast and the other is
// unicast they are told apart by nothing that both see. True for equal RouterIds.
bool hear_each_other(const VrrpInstance& a, const VrrpInstance& b);

}  // namespace vipkeeper::config
