#pragma once

#include <cstddef>
#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vipkeeper::manifests {

// Why a text is not YAML or JSON; `line` counts from 1.
struct SyntaxError {
  std::size_t line = 1;
  std::string message;
  bool operator==(const SyntaxError&) const = default;
};

// One document of a file and the line it starts on.
struct Document {
  nlohmann::json value;
  std::size_t line = 1;
};

using Documents = std::expected<std::vector<Document>, SyntaxError>;

// All documents of a YAML text, empty ones left out. Plain scalars are typed by YAML 1.2's core schema (8080 is a
// number, no is a string), quoted ones are strings whatever they look like, keys are always strings. Anchors, aliases
// and merge keys
// ("<<") are resolved. A key that comes twice in one mapping is an error, as is anything JSON has no value for.
Documents parse_yaml(std::string_view text);

// The one document of a JSON text (RFC 8259), under the same rule for keys that come twice.
Documents parse_json(std::string_view text);

// The line of a field such as "spec.ports[1].port" in the document with that index, or of the nearest thing around it
// that exists. Reads the text again: for error messages only. Works on JSON too, which is YAML's subset.
std::size_t locate_field(std::string_view text, std::size_t document, std::string_view field);

}  // namespace vipkeeper::manifests
