#include "engine/config/language/include.h"

#include <span>

#include "engine/config/language/statement.h"

namespace vipkeeper::config {
namespace {

constexpr std::string_view keyword = "include";

void collect(std::span<const Statement> statements, bool top_level, std::vector<Include>& into) {
  for (const Statement& statement : statements) {
    const Word& first = statement.words.front();
    if (!first.quoted && is_include(first.text)) {
      const std::string_view options = std::string_view(first.text).substr(keyword.size());
      into.push_back({.pattern = statement.words.size() > 1 ? statement.words[1].text : "",
                      .must_match = options.find_first_of("ma") != std::string_view::npos,
                      .top_level = top_level,
                      .at = first.at,
                      .begin = statement.begin,
                      .end = statement.end});
    }
    collect(statement.children, false, into);
  }
}

}  // namespace

bool is_include(std::string_view word) {
  if (!word.starts_with(keyword)) return false;
  word.remove_prefix(keyword.size());
  return word.size() <= 5 && word.find_first_not_of("rmwba") == std::string_view::npos;
}

std::vector<Include> find_includes(std::string_view text) {
  std::vector<Include> result;
  if (text.find(keyword) == std::string_view::npos) return result;
  Findings findings;  // apply() finds them again
  collect(parse_statements(text, findings), true, result);
  return result;
}

}  // namespace vipkeeper::config
