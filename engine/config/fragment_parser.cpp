#include <algorithm>
#include <array>

#include "engine/config/blocks.h"

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

}  // namespace

BlockNames top_level_names() { return names_of(vocabulary); }

const std::vector<BlockNames>& all_block_names() {
  static const std::vector<BlockNames> names = {top_level_names(),     global_defs_names(),    vrrp_script_names(),
                                                vrrp_instance_names(), virtual_server_names(), real_server_names(),
                                                tcp_check_names()};
  return names;
}

ParsedFragment parse_fragment(std::string_view text) {
  Findings findings;
  ParsedFragment fragment;
  const std::vector<Statement> statements = parse_statements(text, findings);
  read_statements(findings, statements, vocabulary, "", fragment);
  fragment.findings = findings.take();
  return fragment;
}

}  // namespace vipkeeper::config
