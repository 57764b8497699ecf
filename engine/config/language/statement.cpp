#include "engine/config/language/statement.h"
#include "engine/base/visible_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/config/language/include.h"
#include "engine/config/language/lexer.h"

namespace vipkeeper::config {
namespace {

using std::string_view_literals::operator""sv;

// Only what can never stand inside another block: these tell that a '}' is missing above.
constexpr std::array top_level_blocks = {"global_defs"sv,      "vrrp_instance"sv,        "vrrp_script"sv,
                                         "virtual_server"sv,   "virtual_server_group"sv, "vrrp_sync_group"sv,
                                         "static_ipaddress"sv, "static_routes"sv};

bool is_top_level_block(std::string_view word) {
  return std::ranges::find(top_level_blocks, word) != top_level_blocks.end();
}

// "Service: NAMESPACE/NAME" -> "NAMESPACE/NAME"
std::optional<std::string> service_comment(std::string_view comment) {
  constexpr auto blanks = " \t\r"sv;
  comment.remove_prefix(std::min(comment.find_first_not_of(blanks), comment.size()));
  constexpr auto mark = "Service:"sv;
  if (!comment.starts_with(mark)) return std::nullopt;
  comment.remove_prefix(mark.size());
  comment.remove_prefix(std::min(comment.find_first_not_of(blanks), comment.size()));
  comment = comment.substr(0, comment.find_last_not_of(blanks) + 1);
  return std::string(comment);
}

class StatementParser {
 public:
  StatementParser(std::string_view text, Findings& findings) : lexer_(text, findings), findings_(findings) {}

  std::vector<Statement> parse() {
    for (Token token = lexer_.next(); token.kind != TokenKind::end; token = lexer_.next()) take(token);
    finish_statement();
    if (!open_.empty()) report_unclosed();
    while (!open_.empty()) close_block();
    return std::move(top_level_);
  }

 private:
  void take(Token& token) {
    if (too_deep_ > 0) {
      skip_too_deep(token);
      return;
    }
    switch (token.kind) {
      case TokenKind::word:
        take_word(token);
        break;
      case TokenKind::newline:
        line_ended_ = true;
        first_on_line_ = true;
        return;
      case TokenKind::comment:
        take_comment(token);
        break;
      case TokenKind::open_brace:
        take_open(token);
        break;
      case TokenKind::close_brace:
        take_close(token);
        break;
      case TokenKind::end:
        break;
    }
    first_on_line_ = false;
    if (token.kind != TokenKind::comment) last_end_ = token.end;
  }

  void take_word(Token& token) {
    if (current_ && line_ended_) finish_statement();
    if (!current_) {
      if (first_on_line_ && !open_.empty() && !token.quoted && is_top_level_block(token.text)) {
        report_unclosed();
        while (!open_.empty()) close_block();
      }
      current_.emplace();
      current_->begin = token.begin;
      current_first_on_line_ = first_on_line_;
      if (open_.empty()) current_->comment = std::exchange(comment_, {});
    }
    line_ended_ = false;
    current_->end = token.end;
    current_->words.push_back({std::move(token.text), token.at, token.quoted, token.unclosed});
  }

  void take_comment(const Token& token) {
    if (!open_.empty() || (current_ && !line_ended_)) return;
    if (auto service = service_comment(token.text)) comment_ = std::move(*service);
  }

  void take_open(const Token& token) {
    if (!current_) {
      findings_.error(token.at,
                      "unexpected '{': no keyword stands before it, the block is left out; name or remove it");
      current_.emplace();
      current_->begin = token.begin;
      current_first_on_line_ = false;
    }
    if (open_.size() >= max_block_depth) {
      findings_.error(token.at, fmt::format("blocks are nested more than {} deep: remove this one", max_block_depth));
      open_.front().statement.braces = Braces::unclear;
      too_deep_ = 1;
      return;
    }
    current_->has_block = true;
    current_->open_at = token.at;
    current_->end = token.end;
    open_.push_back({std::move(*current_), current_first_on_line_});
    current_.reset();
  }

  void skip_too_deep(const Token& token) {
    if (token.kind == TokenKind::open_brace) ++too_deep_;
    if (token.kind == TokenKind::close_brace) --too_deep_;
    last_end_ = token.end;
  }

  void take_close(const Token& token) {
    finish_statement();
    if (open_.empty()) {
      findings_.error(token.at, "unexpected '}': no block is open here; remove it, or look for a '}' too many above");
      return;
    }
    const Statement& closing = open_.back().statement;
    // A brace further left than its block's first word mostly belongs to an outer block.
    if (!suspect_ && first_on_line_ && open_.size() > 1 && open_.back().first_on_line && !closing.words.empty() &&
        token.at.column < closing.at().column) {
      suspect_ = Suspect{quote(closing), closing.at()};
    }
    last_end_ = token.end;
    close_block();
    if (open_.empty()) suspect_.reset();
  }

  // The innermost open block is complete.
  void close_block() {
    finish_statement();
    Statement done = std::move(open_.back().statement);
    done.end = last_end_;
    open_.pop_back();
    keep(std::move(done));
    line_ended_ = true;  // what follows on the line is a statement of its own
  }

  void finish_statement() {
    if (!current_) return;
    Statement done = std::move(*current_);
    current_.reset();
    keep(std::move(done));
  }

  void keep(Statement statement) {
    if (statement.words.empty()) {
      if (!open_.empty() && !statement.children.empty()) open_.front().statement.braces = Braces::unclear;
      return;
    }
    statement.unusable = !is_usable(statement);
    (open_.empty() ? top_level_ : open_.back().statement.children).push_back(std::move(statement));
  }

  bool is_usable(const Statement& statement) {
    if (std::ranges::any_of(statement.words, &Word::unclosed)) return false;
    const Word& first = statement.words.front();
    if (first.quoted) return true;
    if (first.text.starts_with('@')) {
      findings_.warning(first.at,
                        fmt::format("'{}': conditional lines are not supported yet, ignored", printable(first.text)));
      return false;
    }
    // A definition that can be used is not in the text any more: Variables.
    if (first.text.starts_with('$') && first.text.find('=') != std::string::npos) {
      findings_.error(first.at,
                      fmt::format("'{}' is left out: a definition is '$NAME=VALUE' on one line, with up to 1000 "
                                  "characters",
                                  printable(first.text)));
      return false;
    }
    if (is_include(first.text)) {
      findings_.error(first.at,
                      fmt::format("'{}' is left out: an include is followed at the top level of a file only, put "
                                  "that file's text here",
                                  quote(statement)));
      return false;
    }
    for (const Word& word : statement.words) {
      if (word.text.find("${_") == std::string::npos && !word.text.starts_with("~SEQ(") &&
          !word.text.starts_with("~LST("))
        continue;
      findings_.error(word.at, fmt::format("'{}' is not supported yet, the line is left out: write the value itself",
                                           printable(word.text)));
      return false;
    }
    return true;
  }

  void report_unclosed() {
    Statement& outer = open_.front().statement;
    if (outer.braces == Braces::good) outer.braces = open_.size() > 1 ? Braces::unclear : Braces::unclosed;
    const std::string name = outer.words.empty() ? "this block" : fmt::format("'{}'", quote(outer));
    std::string hint;
    std::optional<Position> other;
    if (suspect_) {
      hint = fmt::format(" (probably that of '{}' in line {})", suspect_->words, other_line);
      other = suspect_->at;
    } else if (open_.size() > 1 && !open_.back().statement.words.empty()) {
      const Statement& inner = open_.back().statement;
      hint = fmt::format(" (also open: '{}' in line {})", quote(inner), other_line);
      other = inner.at();
    }
    findings_.add(Severity::error, outer.open_at,
                  fmt::format("the '{{' of {} is never closed: add the missing '}}'{}", name, hint), other);
    suspect_.reset();
  }

  struct OpenBlock {
    Statement statement;
    bool first_on_line = false;
  };
  struct Suspect {
    std::string words;
    Position at;
  };

  Lexer lexer_;
  Findings& findings_;
  std::vector<Statement> top_level_;
  std::vector<OpenBlock> open_;       // outermost first
  std::optional<Statement> current_;  // words seen, its end or its '{' not yet
  bool current_first_on_line_ = false;
  bool line_ended_ = false;  // since the last word of current_
  bool first_on_line_ = true;
  std::size_t last_end_ = 0;  // of the last word or brace taken
  std::string comment_;
  std::optional<Suspect> suspect_;  // a block whose '}' looks like an outer block's
  std::size_t too_deep_ = 0;
};

}  // namespace

std::vector<Statement> parse_statements(std::string_view text, Findings& findings) {
  return StatementParser(text, findings).parse();
}

std::string printable(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::string result = visible(text.substr(0, 4 * longest));
  if (result.size() <= longest) return result;
  std::size_t end = longest;
  while ((static_cast<unsigned char>(result[end]) & 0xc0U) == 0x80U) ++end;  // never within a character
  if (end < result.size()) result.replace(end, std::string::npos, "...");
  return result;
}

std::string quote(const Statement& statement, std::size_t first, std::size_t last) {
  std::string joined;
  for (std::size_t i = first; i < std::min(last, statement.words.size()) && joined.size() <= 80; ++i) {
    if (!joined.empty()) joined += ' ';
    const bool is_password = i > 0 && statement.words[i - 1].text == "auth_pass";
    joined += is_password ? "********" : statement.words[i].text;
  }
  return printable(joined);
}

}  // namespace vipkeeper::config
