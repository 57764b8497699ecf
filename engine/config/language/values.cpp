#include "engine/config/language/values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>

namespace vipkeeper::config {
namespace {

// keepalived's own limit for most of its timers: 31 days.
constexpr Duration longest_timer = std::chrono::hours(24 * 31);

void report(Findings& findings, const Statement& statement, Position at, std::string_view complaint,
            Otherwise otherwise) {
  std::string message = fmt::format("'{}': {}", quote(statement), complaint);
  if (!otherwise.consequence.empty()) message += fmt::format(", {}", otherwise.consequence);
  findings.add(otherwise.severity, at, std::move(message));
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Duration> parse_seconds(std::string_view text) {
  const auto dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  std::int64_t seconds = 0;
  if (!whole.empty()) {
    if (whole.size() > 9 || whole.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    seconds = *parse_integer(whole);
  }
  std::int64_t microseconds = 0;
  if (dot != std::string_view::npos) {
    const std::string_view fraction = text.substr(dot + 1);
    if (fraction.size() > 9 || fraction.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    if (fraction.empty() && whole.empty()) return std::nullopt;
    std::string digits(fraction.substr(0, 6));
    digits.resize(6, '0');
    microseconds = *parse_integer(digits);
  } else if (whole.empty()) {
    return std::nullopt;
  }
  const Duration result = std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds);
  if (result > longest_timer) return std::nullopt;
  return result;
}

std::string format_seconds(Duration duration) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  std::string text = fmt::format("{}.{:06}", microseconds / 1'000'000, microseconds % 1'000'000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

const Word* read_word(Findings& findings, const Statement& statement, std::size_t index, std::string_view what,
                      Otherwise otherwise) {
  if (index < statement.words.size()) return &statement.words[index];
  report(findings, statement, statement.words.back().at, fmt::format("{} is missing", what), otherwise);
  return nullptr;
}

std::optional<std::int64_t> read_integer(Findings& findings, const Statement& statement, std::size_t index,
                                         std::int64_t min, std::int64_t max, Otherwise otherwise) {
  const Word* word = read_word(findings, statement, index, fmt::format("a number from {} to {}", min, max), otherwise);
  if (word == nullptr) return std::nullopt;
  const auto value = parse_integer(word->text);
  if (value && *value >= min && *value <= max) return value;
  report(findings, statement, word->at,
         fmt::format("'{}' is not a number from {} to {}", printable(word->text), min, max), otherwise);
  return std::nullopt;
}

std::optional<std::string> read_user(Findings& findings, const Statement& statement, std::size_t index) {
  expect_end(findings, statement, index + 2);
  const Word* user = read_word(findings, statement, index, "a user");
  if (user == nullptr) return std::nullopt;
  return statement.words.size() > index + 1 ? user->text + " " + statement.words[index + 1].text : user->text;
}

std::optional<Duration> read_seconds(Findings& findings, const Statement& statement, std::size_t index, Duration min,
                                     Duration max, Otherwise otherwise) {
  const std::string range = fmt::format("a number of seconds from {} to {}", format_seconds(min), format_seconds(max));
  const Word* word = read_word(findings, statement, index, range, otherwise);
  if (word == nullptr) return std::nullopt;
  const auto value = parse_seconds(word->text);
  if (value && *value >= min && *value <= max) return value;
  report(findings, statement, word->at, fmt::format("'{}' is not {}", printable(word->text), range), otherwise);
  return std::nullopt;
}

std::optional<IpAddress> read_address(Findings& findings, const Statement& statement, std::size_t index,
                                      Otherwise otherwise) {
  const Word* word = read_word(findings, statement, index, "an IP address", otherwise);
  if (word == nullptr) return std::nullopt;
  const auto address = IpAddress::parse(word->text);
  if (!address) {
    report(findings, statement, word->at, fmt::format("'{}' is not an IP address", printable(word->text)), otherwise);
  }
  return address;
}

std::optional<bool> read_switch(Findings& findings, const Statement& statement, std::size_t index) {
  if (index >= statement.words.size()) return true;
  const std::string& word = statement.words[index].text;
  if (word == "on" || word == "true" || word == "yes") return true;
  if (word == "off" || word == "false" || word == "no") return false;
  report(findings, statement, statement.words[index].at, fmt::format("'{}' is neither 'on' nor 'off'", printable(word)),
         {});
  return std::nullopt;
}

void expect_end(Findings& findings, const Statement& statement, std::size_t count, bool block_allowed) {
  if (statement.words.size() > count) {
    findings.misplaced(statement.words[count].at,
                       fmt::format("'{}' after '{}' is ignored: put each keyword on its own line",
                                   quote(statement, count), quote(statement, 0, count)));
  }
  if (statement.has_block && !block_allowed) {
    findings.warning(statement.open_at, fmt::format("'{}' takes no block, its '{{ }}' is ignored", quote(statement)));
  }
}

bool expect_block(Findings& findings, const Statement& statement) {
  if (statement.has_block) return true;
  findings.error(statement.at(),
                 fmt::format("'{}' needs a block, it is left out: add '{{' and '}}'", quote(statement)));
  return false;
}

}  // namespace vipkeeper::config
