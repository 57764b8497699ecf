#pragma once

#include <cstdint>
#include <string>

#include "engine/base/ip_address.h"
#include "engine/config/config.h"

namespace vipkeeper::router {

// What identifies a virtual router across reloads (its name does not): routers that agree in all of this would take
// each other's ADVERTISEMENTS for their own.
struct RouterId {
  std::string interface;
  std::uint8_t vrid = 0;
  Family family = Family::ipv4;
  std::string transport;  // the group, or the peers

  static RouterId of(const config::VrrpInstance& instance);
  auto operator<=>(const RouterId&) const = default;
};

}  // namespace vipkeeper::router
