#pragma once

#include <compare>
#include <string>

#include "engine/base/ip_address.h"

namespace vipkeeper::run {

// An address that this program put on an interface, in this run or an earlier one.
struct OwnedAddress {
  IpPrefix prefix;
  std::string interface;
  auto operator<=>(const OwnedAddress&) const = default;
};

}  // namespace vipkeeper::run
