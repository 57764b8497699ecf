#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "engine/config/blocks.h"
#include "engine/config/language/variables.h"

namespace vipkeeper::config {
namespace {

constexpr auto known = std::to_array<Keyword<ParsedFragment>>({
    {"global_defs", read_global_defs},
    {"vrrp_script", read_vrrp_script},
    {"vrrp_instance", read_vrrp_instance},
    {"virtual_server", read_virtual_server},
});

constexpr auto unsupported = std::to_array<std::string_view>(
    {"vrrp_sync_group", "virtual_server_group", "static_ipaddress", "static_routes", "static_rules", "track_group",
     "garp_group", "vrrp_track_process", "vrrp_track_file", "track_file", "track_process", "track_bfd", "bfd_instance",
     "SSL", "linkbeat_interfaces", "interface_up_down_delays"});

// Where older versions took them, outside global_defs.
constexpr auto ignored =
    std::to_array<std::string_view>({"use_pid_dir", "linkbeat_use_polling", "child_wait_time", "random_seed"});

constexpr Vocabulary<ParsedFragment> vocabulary{"", known, unsupported, ignored};

// The blocks one by one; what one with broken braces says counts only as far as it is sure to be what was meant.
class FragmentReader {
 public:
  ParsedFragment read(std::string_view text) {
    // split() has put values in for the whole file; a rendered fragment may define its own.
    const auto expanded = Variables().expand(text);
    const std::vector<Statement> statements = parse_statements(expanded ? *expanded : text, findings_);
    for (const Statement& statement : statements) {
      const std::size_t instances = fragment_.instances.size();
      const std::size_t scripts = fragment_.scripts.size();
      const std::size_t servers = fragment_.servers.size();
      const std::size_t doubts = findings_.doubts();
      read_statements(findings_, std::span(&statement, 1), vocabulary, "", fragment_);
      // What the missing '}' took in shows by not fitting there; nothing shows it where a block inside is open.
      const bool doubtful =
          statement.braces == Braces::unclear || (statement.braces == Braces::unclosed && findings_.doubts() > doubts);
      if (doubtful) refuse_since(instances, scripts, servers, statement);
      if (belongs_in_instance(statement.keyword())) refuse_cut_instance(statement);
      if (!belongs_in_instance(statement.keyword())) behind_instance_ = fragment_.instances.size() > instances;
    }
    fragment_.findings = findings_.take();
    return std::move(fragment_);
  }

 private:
  void refuse_since(std::size_t instances, std::size_t scripts, std::size_t servers, const Statement& statement) {
    for (; instances < fragment_.instances.size(); ++instances) fragment_.instances[instances].unusable = true;
    for (; scripts < fragment_.scripts.size(); ++scripts) fragment_.scripts[scripts].unusable = true;
    for (; servers < fragment_.servers.size(); ++servers) fragment_.servers[servers].server = nullptr;
    findings_.error(statement.at(), fmt::format("'{}' is left out: with its braces as they are it cannot be told what "
                                                "belongs in which block",
                                                quote(statement)));
  }

  // `statement` stands at the top level behind an instance that may have been closed too early: without its peers, say,
  // it would be another router than the one that is meant.
  void refuse_cut_instance(const Statement& statement) {
    if (!behind_instance_ || fragment_.instances.back().unusable) return;
    DeclaredInstance& cut = fragment_.instances.back();
    cut.unusable = true;
    findings_.add(
        Severity::error, cut.name_at,
        fmt::format("vrrp_instance {} is left out: '{}' in line {} behind it may belong in it; remove the '}}' "
                    "that is too many above that",
                    printable(cut.name), printable(statement.keyword()), other_line),
        statement.at());
  }

  Findings findings_;
  ParsedFragment fragment_;
  bool behind_instance_ = false;
};

}  // namespace

BlockNames top_level_names() { return names_of(vocabulary); }

const std::vector<BlockNames>& all_block_names() {
  static const std::vector<BlockNames> names = {top_level_names(),     global_defs_names(),    vrrp_script_names(),
                                                vrrp_instance_names(), virtual_server_names(), real_server_names(),
                                                tcp_check_names()};
  return names;
}

bool belongs_in_instance(std::string_view keyword) {
  static const BlockNames top_level = top_level_names();
  static const BlockNames instance = vrrp_instance_names();
  return std::ranges::find(top_level.names, keyword) == top_level.names.end() &&
         std::ranges::find(instance.names, keyword) != instance.names.end();
}

ParsedFragment parse_fragment(std::string_view text) { return FragmentReader().read(text); }

}  // namespace vipkeeper::config
