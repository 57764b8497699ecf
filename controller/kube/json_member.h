#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vipkeeper::kube {

// "" if there is no such member, or it is no text.
inline std::string text_member(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// An empty object if there is no such member, or it is none.
inline const nlohmann::json& member(const nlohmann::json& object, const char* name) {
  static const nlohmann::json absent = nlohmann::json::object();
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : absent;
}

}  // namespace vipkeeper::kube
