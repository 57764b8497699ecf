#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/result.h"

namespace vipkeeper::report {

// What a status answer says that a plan for the same host has to know.
struct RunningView {
  std::set<std::string> active_routers;                             // names of those in state MASTER
  std::set<std::pair<std::string, std::string>> dead_real_servers;  // "tcp 192.0.2.10:80", "10.0.0.7:8080"
};

// From the JSON of GET /status.
Result<RunningView> parse_running_view(std::string_view json);

}  // namespace vipkeeper::report
