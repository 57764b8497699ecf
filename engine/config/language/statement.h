#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/language/finding.h"

namespace vipkeeper::config {

struct Word {
  std::string text;
  Position at;
  bool quoted = false;
  bool unclosed = false;  // its quote is; reported
};

// What became of a top-level block's braces, where one is missing; all but `good` is reported.
enum class Braces : std::uint8_t {
  good,
  unclosed,  // its own '}' is missing, those inside it are there
  unclear    // a block inside is open or has no name: what belongs where cannot be told
};

// One line's words, and what stands between its braces. Children nest at most `max_block_depth` deep.
struct Statement {
  std::vector<Word> words;  // never empty in what parse_statements returns
  bool has_block = false;
  Position open_at;
  std::vector<Statement> children;
  bool unusable = false;  // reported: a quote not closed, an include, a variable; to be left out
  Braces braces = Braces::good;
  std::string comment;    // top level only: NAMESPACE/NAME of the "# Service: NAMESPACE/NAME" line before it
  std::size_t begin = 0;  // byte offsets in the text
  std::size_t end = 0;

  [[nodiscard]] std::string_view keyword() const { return words.front().text; }
  [[nodiscard]] Position at() const { return words.front().at; }
};

inline constexpr std::size_t max_block_depth = 16;

// The statements of a text. Any text gives a result; what is wrong with its braces and its language (a missing or extra
// brace, variables, includes) goes to `findings`; a statement that has it is there, marked unusable. A block that is
// still open where a line begins with the keyword of another top-level block is taken as closed there, so that one
// missing brace does not spoil the rest of the file.
std::vector<Statement> parse_statements(std::string_view text, Findings& findings);

// The statement's words [first, last) for a message: "priority 300", cut where long, printable, without a password.
std::string quote(const Statement& statement, std::size_t first = 0, std::size_t last = std::string::npos);
// One word, made printable and cut where long.
std::string printable(std::string_view text);

}  // namespace vipkeeper::config
