#pragma once

#include <cstdint>
#include <string_view>

namespace vipkeeper::model {

// How packets get to a real server: keepalived's NAT, DR and TUN.
enum class ForwardingMethod : std::uint8_t { masquerade, direct, tunnel };

// "masquerade", "direct" or "tunnel", as in status --json.
constexpr std::string_view to_string(ForwardingMethod method) {
  switch (method) {
    case ForwardingMethod::masquerade:
      return "masquerade";
    case ForwardingMethod::direct:
      return "direct";
    case ForwardingMethod::tunnel:
      return "tunnel";
  }
  return "?";
}

}  // namespace vipkeeper::model
