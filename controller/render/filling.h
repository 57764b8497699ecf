#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/render/values.h"

namespace vipkeeper::render {

// A piece of a template. Between sections, mustache knows two kinds of text: lines' ends and the rest.
struct Part {
  enum class Type : std::uint8_t { text, line_end, value, section, inverted_section };
  Type type = Type::text;
  std::string text;         // as it is written; of the others: the name
  std::vector<Part> parts;  // of a section
};

// The parts of a template's text; an error in words, with the offset, as the library gives it.
struct ParsedTemplate {
  std::vector<Part> parts;
  std::string error;
};
ParsedTemplate parse_template(const std::string& text);

// The template with the values in it, as kainjow's mustache renders it with an escape that changes nothing: a name
// without a value is nothing, and a line that only held tags of sections is gone.
std::string fill_in(const std::vector<Part>& parts, const Values& values);

}  // namespace vipkeeper::render
