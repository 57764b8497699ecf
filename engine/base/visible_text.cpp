#include "engine/base/visible_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace vipkeeper {

namespace {

struct Character {
  std::uint32_t number = 0;
  std::size_t length = 1;
  bool valid = false;
};

// The first character of a text that is not empty (RFC 3629: shortest form, no surrogates, up to U+10FFFF).
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {lead, 1, false};
  std::uint32_t number = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {lead, 1, false};
    number = number << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> shortest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = number >= 0xd800 && number <= 0xdfff;
  if (number < shortest[length] || number > 0x10ffff || surrogate) return {lead, 1, false};
  return {number, length, true};
}

bool is_visible(std::uint32_t number) {
  struct Range {
    std::uint32_t first, last;
  };
  // Controls, soft hyphen, spaces of other widths, joiners, marks of direction, separators of lines, variation
  // selectors, the byte order mark, tags.
  constexpr auto hidden = std::to_array<Range>({{0x00, 0x1f},
                                                {0x7f, 0xa0},
                                                {0xad, 0xad},
                                                {0x61c, 0x61c},
                                                {0x115f, 0x1160},
                                                {0x1680, 0x1680},
                                                {0x180b, 0x180f},
                                                {0x2000, 0x200f},
                                                {0x2028, 0x202f},
                                                {0x205f, 0x206f},
                                                {0x3000, 0x3000},
                                                {0x3164, 0x3164},
                                                {0xfe00, 0xfe0f},
                                                {0xfeff, 0xfeff},
                                                {0xfff0, 0xfffb},
                                                {0xe0000, 0xe0fff}});
  return std::ranges::none_of(hidden,
                              [&](const Range& range) { return number >= range.first && number <= range.last; });
}

}  // namespace

std::string visible(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto character = first_character(text);
    if (character.valid && is_visible(character.number)) {
      result += text.substr(0, character.length);
    } else {
      result += fmt::format("\\u{:04x}", character.number);
    }
    text.remove_prefix(character.length);
  }
  return result;
}

}  // namespace vipkeeper
