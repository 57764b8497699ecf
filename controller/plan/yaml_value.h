#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace vipkeeper::plan {

struct YamlMember;

// A YAML document as a plain tree, with scalars as they are written: what a value means is its reader's.
struct YamlValue {
  enum class Type : std::uint8_t { null, scalar, list, mapping };
  Type type = Type::null;
  std::string text;                 // of a scalar
  std::vector<YamlValue> elements;  // of a list
  std::vector<YamlMember> members;  // of a mapping, in the order of the text, no name twice
};

struct YamlMember {
  std::string name;
  YamlValue value;
};

// "a list", "a mapping", ...
std::string_view describe(YamlValue::Type type);

// The one document of a text; an empty text is null. The Error says what is wrong, and in which line where that is
// known: no YAML, a key that comes twice, several documents; `unsupported`: more than an entry could need, so that
// nobody knows what the rest would be.
Result<YamlValue> parse_yaml(std::string_view text);

}  // namespace vipkeeper::plan
