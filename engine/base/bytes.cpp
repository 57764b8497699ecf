#include "engine/base/bytes.h"

namespace vipkeeper {

std::uint32_t checksum_sum(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const auto high = static_cast<std::uint32_t>(bytes[i]) << 8;
    const auto low = i + 1 < bytes.size() ? static_cast<std::uint32_t>(bytes[i + 1]) : 0;
    sum += high | low;
  }
  return sum;
}

std::uint16_t internet_checksum(std::span<const std::byte> bytes, std::uint32_t initial) {
  std::uint32_t sum = initial + checksum_sum(bytes);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

}  // namespace vipkeeper
