#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/config/language/finding.h"

namespace vipkeeper::config {

enum class TokenKind { word, open_brace, close_brace, newline, comment, end };

// `text`: a word without its quotes and with its escapes resolved, or a comment without its mark. `begin` and `end` are
// byte offsets in the lexed text.
struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;
  bool quoted = false;
  bool unclosed = false;  // a quote that the line's end closed; reported
  Position at;
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Cuts keepalived.conf text into tokens. Words are separated by blanks and braces; `#` and `!` start a comment anywhere
// outside quotes; "..." holds blanks, braces and comment marks, with C escapes, on one line; a ${...} belongs to its
// word; a '\' at the end of a line joins it with the next. Never fails: what is wrong goes to `findings`, and the text
// goes on. `text` and `findings` must outlive the lexer.
class Lexer {
 public:
  Lexer(std::string_view text, Findings& findings);

  // After the last token: `end`, again and again.
  Token next();

 private:
  [[nodiscard]] bool at_end() const { return offset_ >= text_.size(); }
  [[nodiscard]] char peek(std::size_t ahead = 0) const;
  [[nodiscard]] std::size_t joint() const;
  void advance();
  void skip_blanks();
  void read_word(Token& token);
  void read_quoted(Token& token);
  void read_escape(std::string& into);

  std::string_view text_;
  Findings& findings_;
  std::size_t offset_ = 0;
  Position at_;
};

}  // namespace vipkeeper::config
