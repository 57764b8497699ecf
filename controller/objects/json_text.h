#pragma once

#include <string>

#include "controller/objects/objects.h"

namespace vipkeeper::objects {

// Appends the object as JSON on one line, without apiVersion and kind: what parse_object(key.kind, ...) reads back as
// the same key and value. Shaped as the API server writes it, with what the structs keep and nothing else.
void append_json(std::string& to, const ObjectKey& key, const Object& object);

// Appends the text as a JSON string. Bytes that are no UTF-8 become U+FFFD.
void append_json_string(std::string& to, std::string_view text);

}  // namespace vipkeeper::objects
