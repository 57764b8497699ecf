#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/language/finding.h"

namespace vipkeeper::config {

// One `include PATTERN` of a text. Reading what it names is for whoever has files: the parser takes one that is left in
// a text for one that cannot be followed.
struct Include {
  std::string pattern;      // as written; empty: it is missing
  bool must_match = false;  // includem, includea: it is an error if there is no such file
  bool top_level = false;   // outside every block
  Position at;
  std::size_t begin = 0;  // byte offsets in the text
  std::size_t end = 0;
};

// In the order of the text.
std::vector<Include> find_includes(std::string_view text);

// "include" and what keepalived takes behind it: r, m, w, b, a in any number.
bool is_include(std::string_view word);

}  // namespace vipkeeper::config
