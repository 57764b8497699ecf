#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "engine/base/ip_address.h"
#include "engine/base/protocol.h"

namespace vipkeeper::model {

// What names a virtual service, in the configuration and in the kernel (linux/ip_vs.h).
struct ServiceKey {
  Protocol protocol = Protocol::tcp;
  IpAddress address;
  std::uint16_t port = 0;
  std::uint32_t fwmark = 0;  // != 0: protocol, address and port are unused
  Family family = Family::ipv4;

  // "tcp 192.0.2.10:80", "tcp [2001:db8::1]:80", "fwmark 7", "fwmark 7 ipv6"
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const ServiceKey&) const = default;
};

// "10.0.0.7:8080", "[2001:db8::7]:8080"
std::string endpoint_text(const IpAddress& address, std::uint16_t port);

}  // namespace vipkeeper::model
