#pragma once

#include <cstdint>
#include <string_view>

namespace vipkeeper {

// Transport protocols of a virtual service; the values are IP protocol numbers (IANA).
enum class Protocol : std::uint8_t { tcp = 6, udp = 17, sctp = 132 };

// "tcp", "udp", "sctp".
constexpr std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::sctp:
      return "sctp";
  }
  return "?";
}

}  // namespace vipkeeper
