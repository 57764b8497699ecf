#pragma once

#include <cstdint>
#include <string>

namespace vipkeeper::config {

// 1-based; `file` is the path the user gave, or the name of a generated fragment.
struct Location {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// error: what it points at is left out, the line or, where that would be unsafe, its block; the rest is used.
// warning: used, but corrected, or a word that has no effect.
enum class Severity { error, warning };

struct Problem {
  Severity severity = Severity::error;
  Location where;
  std::string message;

  // "FILE:LINE:COLUMN: error|warning: message"
  [[nodiscard]] std::string to_string() const;
};

}  // namespace vipkeeper::config
