#include "engine/config/language/lexer.h"

namespace vipkeeper::config {
namespace {

// A NUL or another control character cannot be part of a word; treating it as a blank keeps the rest readable.
bool is_blank(char c) { return c != '\n' && (static_cast<unsigned char>(c) <= ' ' || c == '\x7f'); }
bool is_allowed_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }
bool is_comment_mark(char c) { return c == '#' || c == '!'; }
bool ends_word(char c) { return c == '\n' || is_blank(c) || is_comment_mark(c) || c == '{' || c == '}'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Lexer::Lexer(std::string_view text, Findings& findings) : text_(text), findings_(findings) {
  if (text_.starts_with("\xef\xbb\xbf")) offset_ = 3;  // a byte order mark some editors write
}

char Lexer::peek(std::size_t ahead) const { return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0'; }

void Lexer::advance() {
  const char c = text_[offset_++];
  if (c == '\n') {
    ++at_.line;
    at_.column = 1;
  } else if (at_end() || (static_cast<unsigned char>(text_[offset_]) & 0xc0U) != 0x80U) {
    ++at_.column;  // not in front of a UTF-8 continuation byte
  }
}

// The length of a '\' that ends the line here, with the end of the line; 0: there is none.
std::size_t Lexer::joint() const {
  if (peek() != '\\') return 0;
  const std::size_t carriage_return = peek(1) == '\r' ? 1 : 0;
  return peek(1 + carriage_return) == '\n' ? 2 + carriage_return : 0;
}

void Lexer::skip_blanks() {
  while (!at_end() && (is_blank(peek()) || joint() > 0)) {
    if (const std::size_t length = joint(); length > 0) {
      findings_.warning(at_,
                        "'\\' at the end of a line joins it with the next; keepalived 2.2 does not: write one line");
      for (std::size_t i = 0; i < length; ++i) advance();
      continue;
    }
    if (!is_allowed_blank(peek())) {
      findings_.error(at_, "control character in the text: is this a keepalived.conf? Remove it");
      while (!at_end() && is_blank(peek()) && !is_allowed_blank(peek())) advance();
      continue;
    }
    advance();
  }
}

Token Lexer::next() {
  skip_blanks();
  Token token;
  token.at = at_;
  token.begin = offset_;
  if (at_end()) {
    token.kind = TokenKind::end;
  } else if (peek() == '\n') {
    token.kind = TokenKind::newline;
    advance();
  } else if (peek() == '{' || peek() == '}') {
    token.kind = peek() == '{' ? TokenKind::open_brace : TokenKind::close_brace;
    advance();
  } else if (is_comment_mark(peek())) {
    token.kind = TokenKind::comment;
    while (!at_end() && peek() != '\n') advance();
    token.text = text_.substr(token.begin + 1, offset_ - token.begin - 1);
  } else {
    token.kind = TokenKind::word;
    read_word(token);
  }
  token.end = offset_;
  return token;
}

void Lexer::read_word(Token& token) {
  while (!at_end() && !ends_word(peek()) && joint() == 0) {
    if (peek() == '"') {
      read_quoted(token);
    } else if (peek() == '$' && peek(1) == '{') {
      while (!at_end() && peek() != '\n' && peek() != '}') {
        token.text += peek();
        advance();
      }
      if (peek() == '}') {
        token.text += '}';
        advance();
      }
    } else {
      token.text += peek();
      advance();
    }
  }
}

void Lexer::read_quoted(Token& token) {
  const Position opened = at_;
  token.quoted = true;
  advance();
  while (!at_end() && peek() != '\n' && peek() != '"') {
    if (peek() == '\\' && offset_ + 1 < text_.size() && peek(1) != '\n') {
      advance();
      read_escape(token.text);
    } else {
      token.text += peek();
      advance();
    }
  }
  if (peek() == '"') {
    advance();
  } else {
    token.unclosed = true;
    findings_.error(opened,
                    "the string that starts here is not closed, the line is left out: add '\"' before the end of it");
  }
}

void Lexer::read_escape(std::string& into) {
  const char c = peek();
  advance();
  switch (c) {
    case 'n':
      into += '\n';
      return;
    case 't':
      into += '\t';
      return;
    case 'r':
      into += '\r';
      return;
    case 'a':
      into += '\a';
      return;
    case 'b':
      into += '\b';
      return;
    case 'f':
      into += '\f';
      return;
    case 'v':
      into += '\v';
      return;
    case 'e':
      into += '\x1b';
      return;
    case 'x': {
      int value = 0;
      int digits = 0;
      for (; digits < 2 && !at_end() && hex_digit(peek()) >= 0; ++digits, advance())
        value = value * 16 + hex_digit(peek());
      if (digits > 0) into += static_cast<char>(value);
      return;
    }
    default:
      break;
  }
  if (c < '0' || c > '7') {
    into += c;  // \" \\ and anything else: itself
    return;
  }
  int value = c - '0';
  for (int digits = 1; digits < 3 && !at_end() && peek() >= '0' && peek() <= '7'; ++digits, advance()) {
    value = value * 8 + (peek() - '0');
  }
  into += static_cast<char>(value & 0xff);
}

}  // namespace vipkeeper::config
