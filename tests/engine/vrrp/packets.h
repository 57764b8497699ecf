#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "engine/base/ip_address.h"

// Packets and addresses as the tests write them.
namespace vipkeeper::vrrp::test {

// "31 33 96 ..." as bytes; blanks are ignored.
inline std::vector<std::byte> bytes_of(std::string_view hex) {
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::byte> bytes;
  int high = -1;
  for (const char c : hex) {
    if (c == ' ') continue;
    if (high < 0) {
      high = nibble(c);
    } else {
      bytes.push_back(static_cast<std::byte>(high << 4 | nibble(c)));
      high = -1;
    }
  }
  return bytes;
}

// An address that is known to be one.
inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

}  // namespace vipkeeper::vrrp::test
