#include "engine/vrrp/advertisement.h"

#include <algorithm>
#include <array>

#include "engine/base/bytes.h"

// The packet (RFC 9568 section 5.1, RFC 3768 section 5.1), all fields big-endian:
//
//   byte  0     version (high 4 bits), type (low 4 bits; 1 is ADVERTISEMENT, the only one)
//         1     virtual router identifier
//         2     priority
//         3     number of addresses, N
//         4..5  v3: 4 reserved bits, 12 bits Max Advertise Interval in centiseconds
//               v2: authentication type, Advertisement Interval in seconds
//         6..7  checksum
//         8..   N addresses of 4 bytes
//         then  v2 only: 8 bytes of authentication data, always there, zero where not used
//
// The checksum of version 2 covers these bytes alone. For version 3 the standards disagree: RFC 5798 section 5.2.8 puts
// a pseudo header (source, destination, zero, protocol, length) in front for both families, and keepalived computes it
// so; RFC 9568 section 5.2.8 wants it for IPv6 only, as several vendors always did for IPv4. The default here is
// keepalived's, because that is the peer people have; `checksum_without_pseudo_header` is the other.

namespace vipkeeper::vrrp {
namespace {

constexpr std::size_t header_size = 8;
constexpr std::size_t address_size = 4;
constexpr std::size_t auth_size = 8;
constexpr std::size_t checksum_offset = 6;
constexpr std::uint8_t type_advertisement = 1;
constexpr std::uint8_t auth_none = 0;
constexpr std::uint8_t auth_simple_password = 1;
constexpr std::size_t most_addresses = 255;
constexpr std::uint16_t interval_mask = 0x0fff;
constexpr auto centisecond = std::chrono::milliseconds(10);

std::size_t size_of(int version, std::size_t addresses) {
  return header_size + addresses * address_size + (version == 2 ? auth_size : 0);
}

std::array<std::byte, auth_size> auth_field(std::string_view password) {
  std::array<std::byte, auth_size> field{};
  const auto used = password.substr(0, auth_size);
  std::ranges::transform(used, field.begin(), [](char c) { return static_cast<std::byte>(c); });
  return field;
}

std::uint32_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, std::size_t length) {
  return checksum_sum(source.bytes()) + checksum_sum(destination.bytes()) + ip_protocol_number +
         static_cast<std::uint32_t>(length);
}

bool checksum_right(std::span<const std::byte> payload, const Reception& reception, const Expectation& expectation) {
  const bool plain_allowed = expectation.version == 2 || expectation.checksum_without_pseudo_header;
  if (plain_allowed && internet_checksum(payload) == 0) return true;
  if (expectation.version == 2) return false;
  return internet_checksum(payload, pseudo_header_sum(reception.source, reception.destination, payload.size())) == 0;
}

bool auth_right(std::uint8_t type, std::span<const std::byte> field, const std::string& password) {
  if (password.empty()) return type == auth_none;
  return type == auth_simple_password && std::ranges::equal(field, auth_field(password));
}

std::string password_in(std::uint8_t type, std::span<const std::byte> field) {
  if (type != auth_simple_password) return {};
  std::string password;
  for (const std::byte byte : field) {
    if (byte == std::byte{0}) break;
    password.push_back(static_cast<char>(byte));
  }
  return password;
}

std::uint8_t whole_seconds(Duration interval) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(interval).count();
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(seconds, 1, 255));
}

std::uint16_t centiseconds(Duration interval) {
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>(interval / centisecond, 1, interval_mask));
}

}  // namespace

std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::ttl:
      return "ttl";
    case DropReason::checksum:
      return "checksum";
    case DropReason::version:
      return "version";
    case DropReason::vrid:
      return "vrid";
    case DropReason::length:
      return "length";
    case DropReason::auth:
      return "auth";
    case DropReason::address_list:
      return "address_list";
    case DropReason::source:
      return "source";
    case DropReason::type:
      return "type";
    case DropReason::interval:
      return "interval";
  }
  return "?";
}

std::optional<std::uint8_t> peek_vrid(std::span<const std::byte> payload) {
  if (payload.size() < header_size) return std::nullopt;
  return static_cast<std::uint8_t>(payload[1]);
}

std::expected<Advertisement, DropReason> parse_advertisement(std::span<const std::byte> payload,
                                                             const Reception& reception,
                                                             const Expectation& expectation) {
  const auto drop = [](DropReason reason) { return std::unexpected(reason); };

  if (payload.size() < header_size) return drop(DropReason::length);
  ByteReader reader(payload);
  const std::uint8_t version_and_type = reader.u8();
  Advertisement result;
  result.version = version_and_type >> 4;
  result.vrid = reader.u8();
  result.priority = reader.u8();
  const std::size_t count = reader.u8();
  const std::uint16_t auth_and_interval = reader.u16();
  const auto auth_type = static_cast<std::uint8_t>(auth_and_interval >> 8);
  reader.u16();

  if (expectation.multicast && reception.ttl != 255) return drop(DropReason::ttl);
  if (result.version != expectation.version) return drop(DropReason::version);
  if ((version_and_type & 0x0f) != type_advertisement) return drop(DropReason::type);
  if (result.vrid != expectation.vrid) return drop(DropReason::vrid);
  if (payload.size() != size_of(result.version, count)) return drop(DropReason::length);
  if (result.version == 3 && count == 0 && !expectation.empty_address_list) return drop(DropReason::address_list);

  if (result.version == 2) {
    result.interval = std::chrono::seconds(auth_and_interval & 0xff);
    if (result.interval != std::chrono::seconds(whole_seconds(expectation.interval))) return drop(DropReason::interval);
  } else {
    // The four reserved bits above are ignored (RFC 9568 section 5.2.6). An interval of 0, once learned, would make a
    // Backup Active at once, again and again.
    result.interval = (auth_and_interval & interval_mask) * centisecond;
    if (result.interval == Duration::zero()) return drop(DropReason::interval);
  }

  if (reception.destination.is_multicast() != expectation.multicast) return drop(DropReason::source);
  if (!expectation.multicast && !expectation.any_sender &&
      std::ranges::find(expectation.unicast_peers, reception.source) == expectation.unicast_peers.end()) {
    return drop(DropReason::source);
  }

  result.addresses.reserve(count);
  for (std::size_t i = 0; i < count; ++i) result.addresses.push_back(IpAddress::v4(reader.u32()));
  if (result.version == 2) {
    const auto field = reader.bytes(auth_size);
    if (!auth_right(auth_type, field, expectation.auth_password)) return drop(DropReason::auth);
    result.auth_password = password_in(auth_type, field);
  }

  if (!checksum_right(payload, reception, expectation)) return drop(DropReason::checksum);
  return result;
}

bool advertises_exactly(const Advertisement& advertisement, std::span<const IpAddress> ours) {
  if (advertisement.addresses.size() != ours.size()) return false;
  // Sorted copies: a hostile order of 255 addresses must not cost the square of them.
  std::vector<IpAddress> theirs = advertisement.addresses;
  std::vector<IpAddress> own(ours.begin(), ours.end());
  std::ranges::sort(theirs);
  std::ranges::sort(own);
  return theirs == own;
}

std::vector<std::byte> serialize_advertisement(const Advertisement& advertisement, const IpAddress& source,
                                               const IpAddress& destination, bool checksum_without_pseudo_header) {
  const bool v2 = advertisement.version == 2;
  const std::size_t count = std::min(advertisement.addresses.size(), most_addresses);
  ByteWriter writer;
  writer.u8(static_cast<std::uint8_t>((v2 ? 0x20 : 0x30) | type_advertisement));
  writer.u8(advertisement.vrid);
  writer.u8(advertisement.priority);
  writer.u8(static_cast<std::uint8_t>(count));
  if (v2) {
    writer.u8(advertisement.auth_password.empty() ? auth_none : auth_simple_password);
    writer.u8(whole_seconds(advertisement.interval));
  } else {
    writer.u16(centiseconds(advertisement.interval));
  }
  writer.u16(0);
  for (std::size_t i = 0; i < count; ++i) writer.bytes(advertisement.addresses[i].bytes());
  if (v2) writer.bytes(auth_field(advertisement.auth_password));

  const auto bytes = writer.view();
  const bool plain = v2 || checksum_without_pseudo_header;
  writer.u16_at(checksum_offset,
                internet_checksum(bytes, plain ? 0 : pseudo_header_sum(source, destination, bytes.size())));
  return writer.take();
}

}  // namespace vipkeeper::vrrp
