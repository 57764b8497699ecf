#include "engine/config/config.h"

#include <utility>

namespace vipkeeper::config {

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
