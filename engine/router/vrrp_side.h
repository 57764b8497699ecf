#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/config/config.h"

// The values that travel to and from the virtual routers of a host.
namespace vipkeeper::router {

// All of the VRRP side of a configuration (a ConfigDelta's, when its vrrp_changed is set). Immutable once shared.
struct VrrpConfig {
  config::GlobalDefs globals;
  std::vector<std::shared_ptr<const config::VrrpInstance>> instances;
  std::vector<std::shared_ptr<const config::VrrpScript>> scripts;
};

// A virtual router changed its state. `state` is keepalived's word: MASTER, BACKUP, FAULT or STOP.
struct NotifyEvent {
  std::shared_ptr<const config::VrrpInstance> instance;  // its name, its notify scripts
  std::string state;
  int priority = 0;  // effective
};

// One run of a check script.
struct ScriptResult {
  std::string script;
  bool success = false;
  bool timed_out = false;
  std::string detail;  // "exited with status 1", for the log
};

}  // namespace vipkeeper::router
