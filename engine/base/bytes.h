#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vipkeeper {

// Reads big-endian fields from a packet. After a read past the end, `ok()` is false and every value is 0: check once,
// at the end.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return number(4); }
  // The next `count` bytes, or an empty span.
  std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto result = rest_.first(count);
    rest_ = rest_.subspan(count);
    return result;
  }
  [[nodiscard]] std::size_t remaining() const { return rest_.size(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::uint32_t number(std::size_t count) {
    std::uint32_t value = 0;
    for (const std::byte byte : bytes(count)) value = (value << 8) | static_cast<std::uint32_t>(byte);
    return value;
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

// Appends big-endian fields to a packet.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { bytes_.push_back(std::byte{value}); }
  void u16(std::uint16_t value) {
    u8(static_cast<std::uint8_t>(value >> 8));
    u8(static_cast<std::uint8_t>(value & 0xff));
  }
  void u32(std::uint32_t value) {
    u16(static_cast<std::uint16_t>(value >> 16));
    u16(static_cast<std::uint16_t>(value & 0xffff));
  }
  void bytes(std::span<const std::byte> more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
  // Overwrites two bytes at `offset`, which must exist: a checksum is known last.
  void u16_at(std::size_t offset, std::uint16_t value) {
    bytes_[offset] = static_cast<std::byte>(value >> 8);
    bytes_[offset + 1] = static_cast<std::byte>(value & 0xff);
  }
  [[nodiscard]] std::span<const std::byte> view() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// The Internet checksum (RFC 1071) over `bytes`, starting from `initial`, an unfolded sum of 16-bit words (a pseudo
// header's, for instance). The result is complemented; over data that holds its own right checksum it is 0.
std::uint16_t internet_checksum(std::span<const std::byte> bytes, std::uint32_t initial = 0);

// The unfolded sum that `internet_checksum` starts from.
std::uint32_t checksum_sum(std::span<const std::byte> bytes);

}  // namespace vipkeeper
