#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/ip_address.h"

namespace vipkeeper::net {

// What a raw IPv4 socket hands up (RFC 791 section 3.1), options skipped, trimmed to the header's total length (short
// Ethernet frames are padded).
struct Ipv4Packet {
  IpAddress source;
  IpAddress destination;
  std::uint8_t ttl = 0;
  std::span<const std::byte> payload;
};

// nullopt: not a whole IPv4 packet.
std::optional<Ipv4Packet> parse_ipv4(std::span<const std::byte> packet);

// A VRRP packet: 20 bytes of header (TTL 255, protocol 112, precedence internetwork control, not a fragment) and the
// payload, as RFC 9568 section 5.1.1 wants it. The header's checksum is left 0 for the kernel, which always fills it in
// (raw(7), IP_HDRINCL). An `identification` of 0 would be replaced by the kernel.
std::vector<std::byte> build_vrrp_packet(const IpAddress& source, const IpAddress& destination,
                                         std::uint16_t identification, std::span<const std::byte> payload);

}  // namespace vipkeeper::net
