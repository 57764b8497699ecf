#pragma once

#include <string>

#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// The snapshot in the Prometheus text format 0.0.4, names vipkeeper_*, for GET /metrics.
std::string metrics_text(const status::Snapshot& snapshot);

}  // namespace vipkeeper::report
