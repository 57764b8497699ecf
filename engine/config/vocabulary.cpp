#include "engine/config/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/base/nearest.h"
#include "engine/config/blocks.h"

namespace vipkeeper::config {
namespace {

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

void warn_unsupported(Findings& findings, const Statement& statement) {
  findings.warning(statement.at(), fmt::format("'{}' is not supported yet, ignored", statement.keyword()));
}

void warn_without_effect(Findings& findings, const Statement& statement, std::string_view why) {
  findings.warning(statement.at(), fmt::format("'{}' has no effect: {}", statement.keyword(), why));
}

void warn_unknown(Findings& findings, const Word& word, const BlockNames& here, std::string_view inside) {
  const std::string where = inside.empty() ? std::string("at the top level") : fmt::format("in {}", inside);
  const std::string homes = homes_of(word.text, here.block);
  if (!homes.empty()) {
    findings.misplaced(word.at, fmt::format("'{}' {} is ignored: it belongs in {}; is a '}}' too many above?",
                                            printable(word.text), where, homes));
    return;
  }
  // A text with that many problems is no keepalived.conf at all, and looking for likeness is what costs.
  constexpr std::size_t most_suggestions = 20;
  const bool suggest = findings.list().size() < most_suggestions;
  const std::string_view meant = suggest ? nearest(word.text, here.names) : std::string_view();
  const std::string remedy = meant.empty() ? std::string("remove it") : fmt::format("did you mean '{}'?", meant);
  findings.misplaced(word.at, fmt::format("unknown keyword '{}' {}, ignored: {}", printable(word.text), where, remedy));
}

}  // namespace vipkeeper::config
