#pragma once

#include <optional>
#include <string>

#include "controller/plan/plan.h"
#include "controller/plan/service_says.h"
#include "controller/plan/yaml_value.h"

namespace vipkeeper::plan {

// A health check as an entry or an annotation writes it: a type alone, or a mapping of the type (tcp if it is not said)
// and its options. nullopt: something is wrong with it, and in `complaints`.
std::optional<HealthCheck> read_health_check(const YamlValue& value, const std::string& path, Complaints& complaints);

// "tcp", "http", ...
std::string_view to_string(CheckType type);

}  // namespace vipkeeper::plan
