#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "engine/config/blocks.h"
#include "engine/config/language/values.h"

namespace vipkeeper::config {
namespace {

using std::chrono::seconds;

// The command may be quoted as a whole, or be written as bare words.
void read_script(Findings& findings, const Statement& statement, VrrpScript& script) {
  if (read_word(findings, statement, 1, "a command", {"the vrrp_script is left out", Severity::error}) == nullptr)
    return;
  script.command.clear();
  for (std::size_t i = 1; i < statement.words.size(); ++i) {
    if (i > 1) script.command += ' ';
    script.command += statement.words[i].text;
  }
  expect_end(findings, statement, statement.words.size());
}

void read_interval(Findings& findings, const Statement& statement, VrrpScript& script) {
  const auto interval =
      read_seconds(findings, statement, 1, std::chrono::milliseconds(1), seconds(4294), {"1 second is used"});
  if (interval) script.interval = *interval;
  expect_end(findings, statement, 2);
}

void read_timeout(Findings& findings, const Statement& statement, VrrpScript& script) {
  const auto timeout =
      read_seconds(findings, statement, 1, std::chrono::milliseconds(1), seconds(4294), {"the interval is used"});
  if (timeout) script.timeout = *timeout;
  expect_end(findings, statement, 2);
}

// "weight N [reverse|noreverse]"; 254 is taken for 253, as keepalived does.
void read_weight(Findings& findings, const Statement& statement, VrrpScript& script) {
  if (const auto weight = read_integer(findings, statement, 1, -254, 254, {"no weight is used"})) {
    script.weight = static_cast<int>(std::clamp<std::int64_t>(*weight, -253, 253));
  }
  std::size_t used = 2;
  if (statement.words.size() > 2 && (statement.words[2].text == "reverse" || statement.words[2].text == "noreverse")) {
    script.reverse = statement.words[2].text == "reverse";
    used = 3;
  }
  expect_end(findings, statement, used);
}

void read_count(Findings& findings, const Statement& statement, unsigned& into) {
  if (const auto count = read_integer(findings, statement, 1, 1, 2147483647, {"1 is used"}))
    into = static_cast<unsigned>(*count);
  expect_end(findings, statement, 2);
}

void read_rise(Findings& findings, const Statement& statement, VrrpScript& script) {
  read_count(findings, statement, script.rise);
}

void read_fall(Findings& findings, const Statement& statement, VrrpScript& script) {
  read_count(findings, statement, script.fall);
}

void read_init_fail(Findings& findings, const Statement& statement, VrrpScript& script) {
  script.init_fail = true;
  expect_end(findings, statement, 1);
}

void read_script_user(Findings& findings, const Statement& statement, VrrpScript& script) {
  script.user = read_user(findings, statement, 1).value_or("");
}

constexpr auto known = std::to_array<Keyword<VrrpScript>>({
    {"script", read_script},
    {"interval", read_interval},
    {"timeout", read_timeout},
    {"weight", read_weight},
    {"rise", read_rise},
    {"fall", read_fall},
    {"init_fail", read_init_fail},
    {"user", read_script_user},
});

constexpr Vocabulary<VrrpScript> vocabulary{"vrrp_script", known, {}, {}};

}  // namespace

void read_vrrp_script(Findings& findings, const Statement& block, ParsedFragment& fragment) {
  const Word* name = read_word(findings, block, 1, "a name", {"the vrrp_script is left out", Severity::error});
  if (name != nullptr) expect_end(findings, block, 2, true);
  DeclaredScript declared{{}, name != nullptr ? name->at : block.at()};
  const bool has_block = expect_block(findings, block);
  if (name != nullptr) declared.script.name = name->text;
  const std::string inside = fmt::format("vrrp_script {}", printable(declared.script.name));
  read_statements(findings, block.children, vocabulary, inside, declared.script);
  declared.unusable = declared.script.command.empty();
  const bool says_one =
      std::ranges::any_of(block.children, [](const Statement& statement) { return statement.keyword() == "script"; });
  if (declared.unusable && has_block && !says_one) {
    findings.error(declared.at, fmt::format("{} is left out: it has no 'script', add 'script \"COMMAND\"'", inside));
  }
  if (name != nullptr) fragment.scripts.push_back(std::move(declared));
}

BlockNames vrrp_script_names() { return names_of(vocabulary); }

}  // namespace vipkeeper::config
