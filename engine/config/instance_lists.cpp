#include "engine/config/instance_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "engine/config/language/values.h"
#include "engine/config/vocabulary.h"

namespace vipkeeper::config {
namespace {

struct TrackWeight {
  std::optional<int> weight;
  bool reverse = false;
};

// "[weight N [reverse|noreverse]]" behind a tracked name; 254 is taken for 253, as keepalived does.
TrackWeight read_track_weight(Findings& findings, const Statement& statement) {
  TrackWeight result;
  std::size_t used = 1;
  if (statement.words.size() > 1 && statement.words[1].text == "weight") {
    if (const auto weight = read_integer(findings, statement, 2, -254, 254, {"no weight is used"})) {
      result.weight = static_cast<int>(std::clamp<std::int64_t>(*weight, -253, 253));
    }
    used = 3;
    if (statement.words.size() > 3 &&
        (statement.words[3].text == "reverse" || statement.words[3].text == "noreverse")) {
      result.reverse = statement.words[3].text == "reverse";
      used = 4;
    }
  }
  expect_end(findings, statement, used);
  return result;
}

struct Authentication {
  std::optional<Word> type;
  MaybeSaid<std::string> password;
};

void read_auth_type(Findings& findings, const Statement& statement, Authentication& authentication) {
  if (const Word* type = read_word(findings, statement, 1, "PASS")) authentication.type = *type;
  expect_end(findings, statement, 2);
}

void read_auth_pass(Findings& findings, const Statement& statement, Authentication& authentication) {
  if (const Word* password = read_word(findings, statement, 1, "a password of up to 8 characters")) {
    authentication.password = {password->text, password->at};
  }
  expect_end(findings, statement, 2);
}

constexpr auto authentication_known = std::to_array<Keyword<Authentication>>({
    {"auth_type", read_auth_type},
    {"auth_pass", read_auth_pass},
});
constexpr Vocabulary<Authentication> authentication_vocabulary{"authentication", authentication_known, {}, {}};

}  // namespace

void read_unicast_peers(Findings& findings, const Statement& block, DeclaredInstance& instance) {
  expect_end(findings, block, 1, true);
  instance.unicast_at = block.at();
  if (!expect_block(findings, block)) {
    instance.has_bad_peer = true;
    return;
  }
  for (const Statement& statement : block.children) {
    const auto peer = statement.unusable ? std::nullopt : IpAddress::parse(statement.keyword());
    if (!peer) {
      instance.has_bad_peer = true;
      if (statement.unusable) continue;
      findings.error(statement.at(),
                     fmt::format("unicast_peer '{}' is not an IP address, it is left out and will not hear "
                                 "this router: names are not looked up, write its address",
                                 printable(statement.keyword())));
      continue;
    }
    for (std::size_t i = 1; i < statement.words.size(); ++i) {
      const Word& word = statement.words[i];
      if (word.text == "min_ttl" || word.text == "max_ttl") {
        findings.warning(word.at, fmt::format("'{}' is not supported yet, ignored", word.text));
        ++i;
      } else if (IpAddress::parse(word.text)) {
        instance.has_bad_peer = true;
        findings.error(word.at,
                       fmt::format("'{}': a second peer '{}' on the line is left out: put each on its own line",
                                   quote(statement), printable(word.text)));
      } else {
        findings.warning(word.at, fmt::format("unknown option '{}' of unicast_peer, ignored", printable(word.text)));
      }
    }
    instance.unicast_peers.push_back({*peer, statement.at()});
  }
}

void read_track_interfaces(Findings& findings, const Statement& block, DeclaredInstance& instance) {
  expect_end(findings, block, 1, true);
  if (!expect_block(findings, block)) return;
  for (const Statement& statement : block.children) {
    if (statement.unusable) continue;
    const TrackWeight weight = read_track_weight(findings, statement);
    instance.track_interfaces.push_back(
        {{statement.words.front().text, weight.weight.value_or(0), weight.reverse}, statement.at()});
  }
}

void read_track_scripts(Findings& findings, const Statement& block, DeclaredInstance& instance) {
  expect_end(findings, block, 1, true);
  if (!expect_block(findings, block)) return;
  for (const Statement& statement : block.children) {
    if (statement.unusable) continue;
    const TrackWeight weight = read_track_weight(findings, statement);
    instance.track_scripts.push_back({{statement.words.front().text, weight.weight, weight.reverse}, statement.at()});
  }
}

// Without what its peers authenticate by they would drop what it sends, and it what they do.
void read_authentication(Findings& findings, const Statement& block, DeclaredInstance& instance) {
  expect_end(findings, block, 1, true);
  const bool has_block = expect_block(findings, block);
  if (!has_block || std::ranges::any_of(block.children, &Statement::unusable)) {
    instance.unusable = true;
    findings.error(block.at(), "without its 'authentication' the instance is left out: its peers have one");
    return;
  }
  instance.authentication_at = block.at();
  Authentication authentication;
  read_statements(findings, block.children, authentication_vocabulary, "authentication", authentication);
  if (!authentication.type) {
    instance.authentication_is_bad = true;
    findings.warning(block.at(), "'authentication' without auth_type is ignored: add 'auth_type PASS'");
  } else if (authentication.type->text == "AH") {
    instance.authentication_is_bad = true;
    instance.unusable = true;
    findings.error(authentication.type->at,
                   "'auth_type AH' is not supported, the instance is left out: use 'auth_type PASS' on all nodes, or "
                   "version 3");
  } else if (authentication.type->text != "PASS") {
    instance.authentication_is_bad = true;
    findings.warning(authentication.type->at,
                     fmt::format("'auth_type {}' is unknown, no authentication is used: write 'auth_type PASS'",
                                 printable(authentication.type->text)));
  }
  instance.auth_password = std::move(authentication.password);
}

}  // namespace vipkeeper::config
