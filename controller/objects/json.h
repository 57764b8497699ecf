#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "controller/objects/objects.h"
#include "engine/base/result.h"

namespace vipkeeper::objects {

struct ParsedObject {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  Object object;
};

// One object as the API server or a manifest writes it. nullopt: a kind the plan does not read. An error names the field
// by its path ("spec.ports[1].port: ..."). Unknown fields are ignored: the API grows.
Result<std::optional<ParsedObject>> parse_object(const nlohmann::json& json);

}  // namespace vipkeeper::objects
