#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vipkeeper {

enum class Family : std::uint8_t { ipv4, ipv6 };

// "ipv4" or "ipv6", as in status --json.
std::string_view to_string(Family family);

// An IPv4 or IPv6 address. Ordered by family, then numerically (10.0.0.9 < 10.0.0.10).
class IpAddress {
 public:
  // 0.0.0.0
  IpAddress() = default;

  // Strict dotted quad (no leading zeros, no short forms) or RFC 4291 text; nothing around it.
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(std::uint32_t host_order);
  // 4 or 16 bytes in network order; nullopt for any other size.
  static std::optional<IpAddress> from_bytes(std::span<const std::byte> bytes);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::ipv4; }
  // 4 or 16 bytes, network order.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  // For IPv4 only.
  [[nodiscard]] std::uint32_t v4_host_order() const;
  // 32 or 128.
  [[nodiscard]] unsigned bit_length() const { return is_v4() ? 32 : 128; }

  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_multicast() const;
  // 169.254/16 or fe80::/10.
  [[nodiscard]] bool is_link_local() const;

  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  Family family_ = Family::ipv4;
  std::array<std::byte, 16> bytes_{};
};

// An address with a prefix length: a subnet, or an interface's address in its subnet.
struct IpPrefix {
  IpAddress address;
  std::uint8_t length = 32;

  // "ADDRESS/LENGTH"; without "/LENGTH" the host prefix (/32, /128).
  static std::optional<IpPrefix> parse(std::string_view text);
  // Same family and the same first `length` bits.
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace vipkeeper

template <>
struct std::hash<vipkeeper::IpAddress> {
  std::size_t operator()(const vipkeeper::IpAddress& address) const noexcept;
};
