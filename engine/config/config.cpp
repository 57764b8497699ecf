#include "engine/config/config.h"

#include <fmt/format.h>

#include <utility>

namespace vipkeeper::config {

std::string VirtualServerKey::to_string() const {
  if (fwmark != 0) return fmt::format("fwmark {}", fwmark);
  const std::string text = address.is_v4() ? address.to_string() : fmt::format("[{}]", address.to_string());
  return fmt::format("{} {}:{}", vipkeeper::to_string(protocol), text, port);
}

ConfigDelta merge(ConfigDelta older, ConfigDelta newer) {
  if (newer.vrrp_changed) {
    older.vrrp_changed = true;
    older.globals = std::move(newer.globals);
    older.instances = std::move(newer.instances);
    older.scripts = std::move(newer.scripts);
  }
  for (auto& [key, server] : newer.virtual_servers) older.virtual_servers[key] = std::move(server);
  return older;
}

}  // namespace vipkeeper::config
