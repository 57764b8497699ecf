#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "engine/config/config.h"

namespace vipkeeper::run {

// Virtual servers that changed; null: removed.
using VirtualServers = std::map<config::VirtualServerKey, std::shared_ptr<const config::VirtualServer>>;

// What a thread that follows the virtual servers is told.
struct ServerInput {
  VirtualServers servers;
  bool complete = false;     // with this, everything desired was told
  std::uint64_t number = 0;  // of the telling, from 1
};

// The newer on top of the older (for LatestQueue).
inline ServerInput merge(ServerInput older, ServerInput newer) {
  for (auto& [key, server] : newer.servers) older.servers.insert_or_assign(key, std::move(server));
  return {std::move(older.servers), older.complete || newer.complete, newer.number};
}

}  // namespace vipkeeper::run
