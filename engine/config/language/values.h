#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"
#include "engine/config/language/statement.h"

// Reads the words of one statement as values. A word that is missing or wrong gives nullopt and one finding that quotes
// the statement, says what is allowed and what happens now.
namespace vipkeeper::config {

// What a bad value means: `severity`, and the rest of the message after what is allowed ("the default 100 is used").
struct Otherwise {
  std::string_view consequence = "ignored";
  Severity severity = Severity::warning;
};

// The word at `index`, or nullopt with a finding that `what` is missing.
const Word* read_word(Findings& findings, const Statement& statement, std::size_t index, std::string_view what,
                      Otherwise otherwise = {});

// Decimal, with an optional sign.
std::optional<std::int64_t> read_integer(Findings& findings, const Statement& statement, std::size_t index,
                                         std::int64_t min, std::int64_t max, Otherwise otherwise = {});

// "USER [GROUP]" from `index` on, to the statement's end: with one space between them.
std::optional<std::string> read_user(Findings& findings, const Statement& statement, std::size_t index);

// Seconds with up to 6 decimals.
std::optional<Duration> read_seconds(Findings& findings, const Statement& statement, std::size_t index, Duration min,
                                     Duration max, Otherwise otherwise = {});

std::optional<IpAddress> read_address(Findings& findings, const Statement& statement, std::size_t index,
                                      Otherwise otherwise = {"it is left out", Severity::error});

// "on", "true", "yes" or nothing: true; "off", "false", "no": false.
std::optional<bool> read_switch(Findings& findings, const Statement& statement, std::size_t index);

// Complains about words from `count` on, and about a block unless `block_allowed`.
void expect_end(Findings& findings, const Statement& statement, std::size_t count, bool block_allowed = false);

// False with an error if the statement has no `{ ... }`.
bool expect_block(Findings& findings, const Statement& statement);

// The bare text as a number; nullopt if it is not one as a whole or does not fit.
std::optional<std::int64_t> parse_integer(std::string_view text);
// "0.05" -> 50 ms, exact to a microsecond; nullopt for signs, exponents and anything longer than a month.
std::optional<Duration> parse_seconds(std::string_view text);
// 1 s -> "1", 50 ms -> "0.05"
std::string format_seconds(Duration duration);

}  // namespace vipkeeper::config
