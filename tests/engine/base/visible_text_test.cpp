#include "engine/base/visible_text.h"

#include <catch2/catch.hpp>
#include <utility>

namespace vipkeeper {
namespace {

TEST_CASE("characters that cannot be seen are shown by their number, all others as they are", "[base][messages]") {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},
      {"default/web:NAT", "default/web:NAT"},
      {"\xef\xbb\xbf"
       "10.0.0.50",
       "\\ufeff10.0.0.50"},  // byte order mark
      {"a\xe2\x80\xae"
       "b",
       "a\\u202eb"},  // turns the direction
      {"a\xc2\xa0"
       "b",
       "a\\u00a0b"},  // no-break space
      {"a\xe2\x80\x8b"
       "b",
       "a\\u200bb"},  // no width
      {"\n\x7f\x1b[1m", "\\u000a\\u007f\\u001b[1m"},
      {std::string_view("a\0b", 3), "a\\u0000b"},
      {"\xf3\xa0\x81\x81", "\\ue0041"},  // a tag
      {"Stra\xc3\x9f"
       "e \xe4\xbe\x8b \xf0\x9f\x98\x80",
       "Stra\xc3\x9f"
       "e \xe4\xbe\x8b \xf0\x9f\x98\x80"},
      // No UTF-8: a lone continuation, a cut character, a longer form than needed, a surrogate, beyond the last.
      {"a\x80"
       "b",
       "a\\u0080b"},
      {"\xe2\x80", "\\u00e2\\u0080"},
      {"\xc0\xaf", "\\u00c0\\u00af"},
      {"\xe0\x80\xaf", "\\u00e0\\u0080\\u00af"},
      {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"},
      {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"},
      {"\xff", "\\u00ff"},
  };
  for (const auto& [text, shown] : rows) {
    INFO("[" << shown << "]");
    CHECK(visible(text) == shown);
  }
}

}  // namespace
}  // namespace vipkeeper
