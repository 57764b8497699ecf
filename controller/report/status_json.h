#pragma once

#include <string>

#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// The snapshot as the JSON of interface.md's "status --json", one line, ending in a newline. Times are RFC 3339 in UTC
// with milliseconds; a time that never was is null.
std::string status_json(const status::Snapshot& snapshot);

// "2026-11-20T08:15:30.123Z"
std::string rfc3339(WallTime time);

}  // namespace vipkeeper::report
