#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/config/language/fragment.h"
#include "engine/config/language/problem.h"

namespace vipkeeper::config {

// 1-based place in one fragment's text; columns count characters (UTF-8 code points, a tab is one). A fragment that
// only moved in its file keeps its parsed form, so places become file lines as late as possible: locate().
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;

  auto operator<=>(const Position&) const = default;
};

// Stands in a message for the line of Finding::other, which is known only with the fragment's place in its file.
inline constexpr char other_line = '\x01';

// A Problem whose place is still relative to its fragment.
struct Finding {
  Severity severity = Severity::error;
  Position at;
  std::string message;
  std::optional<Position> other = std::nullopt;
};

// Collects every finding of one fragment, in the order they were made.
class Findings {
 public:
  void error(Position at, std::string message) { add(Severity::error, at, std::move(message)); }
  void warning(Position at, std::string message) { list_.push_back({Severity::warning, at, std::move(message)}); }
  void add(Severity severity, Position at, std::string message, std::optional<Position> other = std::nullopt) {
    if (severity == Severity::error) ++doubts_;
    list_.push_back({severity, at, std::move(message), other});
  }
  // A word that stands where it means nothing: with a brace missing, a sign that it belongs elsewhere.
  void misplaced(Position at, std::string message) {
    warning(at, std::move(message));
    ++doubts_;
  }

  [[nodiscard]] const std::vector<Finding>& list() const { return list_; }
  // How many errors and misplaced words there are.
  [[nodiscard]] std::size_t doubts() const { return doubts_; }
  [[nodiscard]] std::vector<Finding> take() { return std::move(list_); }

 private:
  std::vector<Finding> list_;
  std::size_t doubts_ = 0;
};

// Where `at` lies in the file that the fragment was cut from.
Location locate(const Fragment& fragment, Position at);
Problem locate(const Fragment& fragment, const Finding& finding);

}  // namespace vipkeeper::config
