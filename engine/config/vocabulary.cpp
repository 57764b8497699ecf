#include "engine/config/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "engine/config/blocks.h"

namespace vipkeeper::config {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

constexpr std::size_t longest_keyword = 40;

// Optimal string alignment distance, case-insensitive; both at most longest_keyword long.
std::size_t slips_between(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, longest_keyword + 1>;
  Row before_last{};
  Row last{};
  Row row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (lower(a[i - 1]) == lower(b[j - 1]) ? 0U : 1U);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

// The other blocks that have this very keyword, "vrrp_instance" or "virtual_server or real_server".
std::string homes_of(std::string_view word, std::string_view here) {
  std::string homes;
  for (const BlockNames& block : all_block_names()) {
    if (block.block == here || std::ranges::find(block.names, word) == block.names.end()) continue;
    if (!homes.empty()) homes += " or ";
    homes += block.block.empty() ? "the top level" : block.block;
  }
  return homes;
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > longest_keyword) return {};
  std::size_t fewest = std::max<std::size_t>(1, word.size() / 3) + 1;  // one more than what still counts as near
  std::string_view best;
  for (const std::string_view candidate : candidates) {
    const std::size_t longer = std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    const bool is_beginning = word.size() >= 3 && candidate.starts_with(word);
    if (!is_beginning && (longer >= fewest || candidate.size() > longest_keyword)) continue;
    const std::size_t slips = is_beginning ? 1 : slips_between(word, candidate);
    if (slips < fewest) {
      fewest = slips;
      best = candidate;
    }
  }
  return best;
}

void warn_unsupported(Findings& findings, const Statement& statement) {
  findings.warning(statement.at(), fmt::format("'{}' is not supported yet, ignored", statement.keyword()));
}

void warn_unknown(Findings& findings, const Word& word, const BlockNames& here, std::string_view inside) {
  const std::string where = inside.empty() ? std::string("at the top level") : fmt::format("in {}", inside);
  const std::string homes = homes_of(word.text, here.block);
  if (!homes.empty()) {
    findings.warning(word.at, fmt::format("'{}' {} is ignored: it belongs in {}; is a '}}' too many above?",
                                          printable(word.text), where, homes));
    return;
  }
  // A text with that many problems is no keepalived.conf at all, and looking for likeness is what costs.
  constexpr std::size_t most_suggestions = 20;
  const bool suggest = findings.list().size() < most_suggestions;
  const std::string_view meant = suggest ? nearest(word.text, here.names) : std::string_view();
  const std::string remedy = meant.empty() ? std::string("remove it") : fmt::format("did you mean '{}'?", meant);
  findings.warning(word.at, fmt::format("unknown keyword '{}' {}, ignored: {}", printable(word.text), where, remedy));
}

}  // namespace vipkeeper::config
