#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "engine/config/language/statement.h"

namespace vipkeeper::config {

// One keyword of a block and what reads its statement into the block's value.
template <class Target>
struct Keyword {
  std::string_view name;
  void (*read)(Findings&, const Statement&, Target&);
};

// A keyword that keepalived has and that changes nothing here; `why` ends the warning.
struct WithoutEffect {
  std::string_view name;
  std::string_view why;
};

// The words of one kind of block. `unsupported`: keepalived has them, the engine cannot do them yet; one warning each.
// `ignored`: keepalived has them, here they mean nothing and nobody misses it (mail); not a word. `without_effect`:
// here they mean nothing, and who wrote them may miss it; one warning each that says why.
template <class Target>
struct Vocabulary {
  std::string_view block;  // "vrrp_instance"; for messages
  std::span<const Keyword<Target>> known;
  std::span<const std::string_view> unsupported;
  std::span<const std::string_view> ignored;
  std::span<const WithoutEffect> without_effect = {};
};

// The names of a block's keywords, for "did you mean" and "belongs in".
struct BlockNames {
  std::string_view block;
  std::vector<std::string_view> names;
};

template <class Target>
BlockNames names_of(const Vocabulary<Target>& vocabulary) {
  BlockNames result{vocabulary.block, {}};
  for (const auto& keyword : vocabulary.known) result.names.push_back(keyword.name);
  result.names.insert(result.names.end(), vocabulary.unsupported.begin(), vocabulary.unsupported.end());
  result.names.insert(result.names.end(), vocabulary.ignored.begin(), vocabulary.ignored.end());
  for (const auto& word : vocabulary.without_effect) result.names.push_back(word.name);
  return result;
}

void warn_unsupported(Findings& findings, const Statement& statement);
void warn_without_effect(Findings& findings, const Statement& statement, std::string_view why);
// `inside`: what the block is called in the message, "vrrp_instance VI_1" or "" at the top level.
void warn_unknown(Findings& findings, const Word& word, const BlockNames& here, std::string_view inside);

template <class Target>
void read_statements(Findings& findings, std::span<const Statement> statements, const Vocabulary<Target>& vocabulary,
                     std::string_view inside, Target& target) {
  for (const Statement& statement : statements) {
    if (statement.unusable) continue;
    const std::string_view name = statement.keyword();
    const auto keyword = std::ranges::find(vocabulary.known, name, &Keyword<Target>::name);
    if (keyword != vocabulary.known.end()) {
      keyword->read(findings, statement, target);
    } else if (std::ranges::find(vocabulary.unsupported, name) != vocabulary.unsupported.end()) {
      warn_unsupported(findings, statement);
    } else if (const auto word = std::ranges::find(vocabulary.without_effect, name, &WithoutEffect::name);
               word != vocabulary.without_effect.end()) {
      warn_without_effect(findings, statement, word->why);
    } else if (std::ranges::find(vocabulary.ignored, name) == vocabulary.ignored.end()) {
      warn_unknown(findings, statement.words.front(), names_of(vocabulary), inside);
    }
  }
}

}  // namespace vipkeeper::config
