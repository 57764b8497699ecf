#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace vipkeeper::report {

// `vipkeeper status` for people: the JSON of a running instance as three tables (virtual routers, addresses, virtual
// services) and its problems. `now_seconds` is the wall clock (Unix seconds) that "since" is counted from. Fails on
// text that is not such JSON.
Result<std::string> status_table(std::string_view json, double now_seconds, bool colour);

}  // namespace vipkeeper::report
