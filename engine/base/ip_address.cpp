#include "engine/base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>

namespace vipkeeper {

std::string_view to_string(Family family) { return family == Family::ipv4 ? "ipv4" : "ipv6"; }

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton wants a terminated string; the longest IPv6 text is 45 characters.
  if (text.empty() || text.size() > 45 || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  IpAddress result;
  if (inet_pton(AF_INET, terminated.c_str(), result.bytes_.data()) == 1) {
    // glibc accepts "010.0.0.1"; the original's users would get 10.0.0.1 where others read octal 8.
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool octet_starts = i == 0 || text[i - 1] == '.';
      if (octet_starts && text[i] == '0' && i + 1 < text.size() && text[i + 1] != '.') return std::nullopt;
    }
    return result;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), result.bytes_.data()) == 1) {
    result.family_ = Family::ipv6;
    return result;
  }
  return std::nullopt;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress result;
  const std::uint32_t network = htonl(host_order);
  std::memcpy(result.bytes_.data(), &network, sizeof network);
  return result;
}

std::optional<IpAddress> IpAddress::from_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  IpAddress result;
  result.family_ = bytes.size() == 4 ? Family::ipv4 : Family::ipv6;
  std::ranges::copy(bytes, result.bytes_.begin());
  return result;
}

std::span<const std::byte> IpAddress::bytes() const { return std::span(bytes_).first(is_v4() ? 4 : 16); }

std::uint32_t IpAddress::v4_host_order() const {
  std::uint32_t network = 0;
  std::memcpy(&network, bytes_.data(), sizeof network);
  return ntohl(network);
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](std::byte b) { return b == std::byte{0}; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == std::byte{127};
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::byte b) { return b == std::byte{0}; }) &&
         bytes_[15] == std::byte{1};
}

bool IpAddress::is_multicast() const {
  if (is_v4()) return (v4_host_order() >> 28) == 0xe;
  return bytes_[0] == std::byte{0xff};
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return (v4_host_order() >> 16) == 0xa9fe;
  return bytes_[0] == std::byte{0xfe} && (bytes_[1] & std::byte{0xc0}) == std::byte{0x80};
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), static_cast<socklen_t>(text.size()));
  return text.data();
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return IpPrefix{*address, static_cast<std::uint8_t>(address->bit_length())};
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size() || length > address->bit_length())
    return std::nullopt;
  return IpPrefix{*address, static_cast<std::uint8_t>(length)};
}

bool IpPrefix::contains(const IpAddress& other) const {
  if (other.family() != address.family()) return false;
  const auto ours = address.bytes();
  const auto theirs = other.bytes();
  const std::size_t whole = length / 8U;
  if (!std::equal(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(whole), theirs.begin())) return false;
  const unsigned rest = length % 8U;
  if (rest == 0) return true;
  const auto mask = static_cast<std::byte>(0xff << (8U - rest));
  return (ours[whole] & mask) == (theirs[whole] & mask);
}

std::string IpPrefix::to_string() const { return address.to_string() + "/" + std::to_string(length); }

}  // namespace vipkeeper

std::size_t std::hash<vipkeeper::IpAddress>::operator()(const vipkeeper::IpAddress& address) const noexcept {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
