#include "controller/objects/objects.h"

namespace vipkeeper::objects {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::config_map:
      return "ConfigMap";
    case Kind::service:
      return "Service";
    case Kind::endpoint_slice:
      return "EndpointSlice";
    case Kind::endpoints:
      return "Endpoints";
    case Kind::node:
      return "Node";
    case Kind::pod:
      return "Pod";
  }
  return "?";
}

std::string ObjectKey::to_string() const {
  std::string text(objects::to_string(kind));
  text += ' ';
  if (!name_space.empty()) text.append(name_space).append("/");
  return text += name;
}

}  // namespace vipkeeper::objects
