#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"

namespace vipkeeper::vrrp {

// An ADVERTISEMENT as a value: version 2 (RFC 3768 section 5) or 3 (RFC 9568 section 5).
struct Advertisement {
  int version = 3;
  std::uint8_t vrid = 0;
  std::uint8_t priority = 0;      // 0: the sender stops
  Duration interval{};            // v3: Max Advertise Interval in centiseconds on the wire; v2: seconds
  std::vector<IpAddress> addresses;
  std::string auth_password;      // v2 with simple password, at most 8 characters; empty: none

  bool operator==(const Advertisement&) const = default;
};

// How a packet came in.
struct Reception {
  IpAddress source;
  IpAddress destination;   // in the v3 pseudo header
  std::uint8_t ttl = 255;
};

// What the receiver expects of a packet.
struct Expectation {
  int version = 3;
  std::uint8_t vrid = 0;
  bool multicast = true;                 // then TTL must be 255
  bool checksum_without_pseudo_header = false;  // v3_checksum_as_v2
  Duration interval{};                   // v2 must match
  std::string auth_password;
  std::vector<IpAddress> unicast_peers;  // unicast: the source must be one of them
};

enum class DropReason : std::uint8_t { ttl, checksum, version, vrid, length, auth, address_list, source, type, interval };
// "ttl", "checksum", ... as in status --json.
std::string_view to_string(DropReason reason);

}  // namespace vipkeeper::vrrp
