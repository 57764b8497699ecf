#pragma once

#include <span>
#include <string_view>

#include "controller/plan/entry.h"
#include "controller/plan/yaml_value.h"

namespace vipkeeper::plan {

// The names of the extended form's fields.
std::span<const std::string_view> extended_fields();

// Reads an entry of the extended form; `root` is its mapping.
ParsedEntry read_extended_entry(std::string_view key, const YamlValue& root);

}  // namespace vipkeeper::plan
