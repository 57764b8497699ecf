#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"

// The VRRP packet of IPv4 as a value, and the way from bytes to the value and back. Version 3 is RFC 9568 section 5
// (and RFC 5798 where it differs), version 2 is RFC 3768 section 5 with the authentication field of RFC 2338 that
// others still use. What came from the network is hostile: a packet is either a whole Advertisement or one DropReason.
namespace vipkeeper::vrrp {

// IP protocol number (IANA).
inline constexpr std::uint8_t ip_protocol_number = 112;

struct Advertisement {
  int version = 3;
  std::uint8_t vrid = 0;
  std::uint8_t priority = 0;         // 0: the sender stops being Active; 255: it owns the addresses
  Duration interval{};               // on the wire whole seconds (v2) or centiseconds in 12 bits (v3)
  std::vector<IpAddress> addresses;  // in the sender's order
  std::string auth_password;         // v2 with simple password, at most 8 characters; empty: none

  bool operator==(const Advertisement&) const = default;
};

// How a packet came in: fields of its IP header.
struct Reception {
  IpAddress source;
  IpAddress destination;  // in the v3 pseudo header
  std::uint8_t ttl = 255;
};

// What the receiver expects of a packet.
struct Expectation {
  int version = 3;
  std::uint8_t vrid = 0;
  bool multicast = true;  // then the destination must be multicast and the TTL 255
  // v3_checksum_as_v2. True takes either form of checksum, so that routers can be changed over one by one; false takes
  // only the one with the pseudo header.
  bool checksum_without_pseudo_header = false;
  Duration interval{};                   // v2 must match; v3 learns
  std::string auth_password;             // v2: empty means that packets must carry none
  std::vector<IpAddress> unicast_peers;  // unicast: the source must be one of them, unless
  bool any_sender = false;               // who is heard is decided elsewhere
  // RFC 9568 section 5.2.5 ignores a v3 packet without addresses. A router that itself advertises none has to hear its
  // equals nevertheless: it sets this.
  bool empty_address_list = false;
};

// Why a packet was dropped. `source` covers a sender that is no configured peer, and a multicast packet where unicast
// is configured (or the other way round); `address_list` is an empty list.
enum class DropReason : std::uint8_t {
  ttl,
  checksum,
  version,
  vrid,
  length,
  auth,
  address_list,
  source,
  type,
  interval
};
// "ttl", "checksum", ... as in status --json.
std::string_view to_string(DropReason reason);

// The virtual router that a packet speaks of; nullopt when it is too short to tell. For finding the Expectation:
// nothing else of the packet has been looked at.
std::optional<std::uint8_t> peek_vrid(std::span<const std::byte> payload);

// `payload` is what follows the IP header, cut to the length that the IP header says (Ethernet pads). The checks stand
// in a straight list, cheapest first, and the first that fails names the reason (RFC 9568 section 7.1, RFC 3768
// section 7.1). A list of addresses that differs from our own is no reason to drop: see `advertises_exactly`.
std::expected<Advertisement, DropReason> parse_advertisement(std::span<const std::byte> payload,
                                                             const Reception& reception,
                                                             const Expectation& expectation);

// True if the packet lists the same addresses as `ours`, in whatever order: receivers count and report the difference,
// but accept the packet, or a rolling change of addresses would make every node Active.
bool advertises_exactly(const Advertisement& advertisement, std::span<const IpAddress> ours);

// The bytes after the IP header, checksum filled in. `source` and `destination` are those of the IP header that will
// carry them. An interval outside what the version can say is brought to the nearest it can (v2 1..255 s, rounded up;
// v3 0.01..40.95 s); of more than 255 addresses the first 255 are sent; a longer password is cut at 8 characters.
std::vector<std::byte> serialize_advertisement(const Advertisement& advertisement, const IpAddress& source,
                                               const IpAddress& destination, bool checksum_without_pseudo_header);

}  // namespace vipkeeper::vrrp
