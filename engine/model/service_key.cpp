#include "engine/model/service_key.h"

#include <fmt/format.h>

namespace vipkeeper::model {

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  return address.is_v4() ? fmt::format("{}:{}", address.to_string(), port)
                         : fmt::format("[{}]:{}", address.to_string(), port);
}

std::string ServiceKey::to_string() const {
  if (fwmark != 0) return fmt::format("fwmark {}{}", fwmark, family == Family::ipv6 ? " ipv6" : "");
  return fmt::format("{} {}", vipkeeper::to_string(protocol), endpoint_text(address, port));
}

}  // namespace vipkeeper::model
