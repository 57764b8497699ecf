#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "controller/objects/objects.h"

namespace vipkeeper::objects {

// The JSON text of one object, of which only what parse_object reads is kept; the rest (managedFields, a Pod's
// containers, a Node's images) is passed over without a copy. nullopt: no JSON, or nested deeper than any object of the
// plan. parse_object of it gives what parse_object of the whole document gives.
std::optional<nlohmann::json> read_lean(Kind kind, std::string_view text);

// The same for one event of a watch, {"type": ..., "object": ...}. A Status in the object is kept whole.
std::optional<nlohmann::json> read_lean_event(Kind kind, std::string_view text);

}  // namespace vipkeeper::objects
