#include "engine/config/language/variables.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace vipkeeper::config {
namespace {

constexpr std::string_view blanks = " \t\r\f\v";
// What a definition may grow to by the use of others, and a text by the use of its definitions.
constexpr std::size_t longest_value = 1000;
constexpr std::size_t growth = 4;
constexpr std::size_t spare = 64'000;

bool is_name(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::size_t name_length(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_name) - text.begin());
}

std::string_view without_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

// Up to the mark of a comment that is not in quotes.
std::string_view without_comment(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (!quoted && (text[i] == '#' || text[i] == '!')) return text.substr(0, i);
  }
  return text;
}

}  // namespace

// False: not a definition, or one of several lines or that grows too large; the parser says so.
bool Variables::define(std::string_view line) {
  line = without_blanks(line);
  if (!line.starts_with('$')) return false;
  line.remove_prefix(1);
  const std::size_t length = name_length(line);
  if (length == 0 || length >= line.size() || line[length] != '=') return false;
  const std::string_view value = without_blanks(without_comment(line.substr(length + 1)));
  if (value.ends_with('\\')) return false;
  std::string expanded = expand_line(value, longest_value);
  if (expanded.size() > longest_value) return false;
  values_.insert_or_assign(std::string(line.substr(0, length)), std::move(expanded));
  return true;
}

std::string Variables::expand_line(std::string_view line, std::size_t longest) const {
  std::string result;
  while (!line.empty()) {
    const std::size_t mark = std::min(line.find('$'), line.size());
    result += line.substr(0, mark);
    line.remove_prefix(mark);
    if (line.empty()) break;
    const bool braced = line.substr(1).starts_with('{');
    const std::string_view rest = line.substr(braced ? 2 : 1);
    const std::size_t length = name_length(rest);
    const bool whole = !braced || rest.substr(length).starts_with('}');
    const auto value = whole ? values_.find(rest.substr(0, length)) : values_.end();
    if (value == values_.end() || result.size() + value->second.size() > longest) {
      result += '$';
      line.remove_prefix(1);
      continue;
    }
    result += value->second;
    line.remove_prefix(1 + length + (braced ? 2 : 0));
  }
  return result;
}

std::optional<std::string> Variables::expand(std::string_view text) {
  if (values_.empty() && text.find('$') == std::string_view::npos) return std::nullopt;
  const std::size_t longest = text.size() * growth + spare;
  std::string result;
  bool changed = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (line.find('$') == std::string_view::npos) {
      result += line;
    } else if (define(line)) {
      changed = true;
    } else {
      const std::string expanded = expand_line(line, longest - std::min(longest, result.size()));
      changed |= expanded != line;
      result += expanded;
    }
    if (end < text.size()) result += '\n';
    begin = end + 1;
  }
  if (!changed) return std::nullopt;
  return result;
}

}  // namespace vipkeeper::config
