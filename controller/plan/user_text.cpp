#include "controller/plan/user_text.h"

#include <algorithm>

#include "engine/base/visible_text.h"

namespace vipkeeper::plan {

namespace {

constexpr std::string_view white_space = " \t\r\n\v\f";

}  // namespace

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(white_space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

std::string one_line(std::string_view text) {
  std::size_t longest = 60;
  // Never half a character of UTF-8: the text ends in JSON.
  while (longest < text.size() && (static_cast<unsigned char>(text[longest]) & 0xc0U) == 0x80U) --longest;
  std::string line(text.substr(0, longest));
  std::ranges::replace_if(line, [](char c) { return white_space.contains(c); }, ' ');
  auto result = visible(line);
  if (text.size() > longest) result += "...";
  return result;
}

std::string quoted(std::string_view text) { return "\"" + one_line(text) + "\""; }

bool is_label(std::string_view text) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 63 && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return alphanumeric(c) || c == '-'; });
}

}  // namespace vipkeeper::plan
