#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "controller/objects/objects.h"
#include "engine/base/result.h"

namespace vipkeeper::objects {

struct ParsedObject {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  Object object;
};

// One object as the API server or a manifest writes it. nullopt: a kind the plan does not read. An error names the
// field by its path ("spec.ports[1].port: ..."). Unknown fields are ignored: the API grows. apiVersion and kind are
// required; metadata.namespace is "default" where a namespaced object does not say.
Result<std::optional<ParsedObject>> parse_object(const nlohmann::json& json);

// The same for an item of a typed list ("ServiceList"), whose items do not say what they are: apiVersion and kind are
// not looked at.
Result<ParsedObject> parse_object(Kind kind, const nlohmann::json& json);

// The kind that `apiVersion` and `kind` name, if the plan reads it ("v1" + "Service"; any version of discovery.k8s.io).
std::optional<Kind> kind_of(std::string_view api_version, std::string_view kind);

}  // namespace vipkeeper::objects
