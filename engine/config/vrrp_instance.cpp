#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "engine/config/blocks.h"
#include "engine/config/instance_lists.h"
#include "engine/config/language/values.h"

namespace vipkeeper::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What an instance cannot be run without, or what its peers would take it for another without.
constexpr Otherwise left_out_whole{"the instance is left out", Severity::error};

void read_state(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  const Word* state = read_word(findings, statement, 1, "MASTER or BACKUP", {"BACKUP is used"});
  if (state == nullptr) return;
  if (state->text != "MASTER" && state->text != "BACKUP") {
    findings.warning(state->at, fmt::format("'{}': the state is MASTER or BACKUP, BACKUP is used", quote(statement)));
  }
  instance.wants_master = {state->text == "MASTER", state->at};
  expect_end(findings, statement, 2);
}

void read_interface(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  constexpr std::size_t longest_name = 15;  // IFNAMSIZ without its NUL
  const Word* name = read_word(findings, statement, 1, "an interface", left_out_whole);
  if (name != nullptr && (name->text.empty() || name->text.size() > longest_name)) {
    findings.error(name->at, fmt::format("'{}': an interface's name has 1 to {} characters, {}", quote(statement),
                                         longest_name, left_out_whole.consequence));
    name = nullptr;
  }
  if (name == nullptr) {
    instance.unusable = true;
    return;
  }
  instance.interface = name->text;
  expect_end(findings, statement, 2);
}

void read_vrid(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  const auto vrid = read_integer(findings, statement, 1, 1, 255, left_out_whole);
  if (!vrid) instance.unusable = true;
  if (vrid) instance.vrid = {static_cast<std::uint8_t>(*vrid), statement.at()};
  expect_end(findings, statement, 2);
}

void read_priority(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.priority = static_cast<int>(read_integer(findings, statement, 1, 1, 255, {"100 is used"}).value_or(100));
  expect_end(findings, statement, 2);
}

void read_version(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  if (const auto version = read_integer(findings, statement, 1, 2, 3, {"global_defs' vrrp_version or 2 is used"})) {
    instance.version = static_cast<int>(*version);
  }
  expect_end(findings, statement, 2);
}

void read_advert_int(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  if (const auto interval =
          read_seconds(findings, statement, 1, milliseconds(10), seconds(255), {"1 second is used"})) {
    instance.advert_interval = {*interval, statement.words[1].at};
  }
  expect_end(findings, statement, 2);
}

void read_nopreempt(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.nopreempt = {true, statement.at()};
  expect_end(findings, statement, 1);
}

void read_preempt(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.nopreempt = {false, statement.at()};
  expect_end(findings, statement, 1);
}

void read_preempt_delay(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  if (const auto delay = read_seconds(findings, statement, 1, seconds(0), seconds(1000), {"no delay is used"})) {
    instance.preempt_delay = {*delay, statement.at()};
  }
  expect_end(findings, statement, 2);
}

void read_accept(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.accept = true;
  expect_end(findings, statement, 1);
}

// Resolved as keepalived does, but the firewall rules that would enforce it are not made yet.
void read_no_accept(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.accept = false;
  warn_unsupported(findings, statement);
}

void read_source(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  const Otherwise otherwise{"the interface's primary address is used", Severity::error};
  if (const auto source = read_address(findings, statement, 1, otherwise)) instance.source = source;
  expect_end(findings, statement, 2);
}

// With another group than its peers, each side would be alone, and hold the addresses.
void read_multicast_group(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  const auto group = read_address(findings, statement, 1, left_out_whole);
  expect_end(findings, statement, 2);
  if (group && group->is_multicast()) {
    instance.multicast_group = group;
    return;
  }
  instance.unusable = true;
  if (group) {
    findings.error(statement.words[1].at, fmt::format("'{}': needs a multicast address, 224.0.0.18 by default, {}",
                                                      quote(statement), left_out_whole.consequence));
  }
}

void read_v3_checksum_as_v2(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  if (const auto on = read_switch(findings, statement, 1)) instance.v3_checksum_as_v2 = on;
  expect_end(findings, statement, 2);
}

void read_down_timer_adverts(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  if (const auto count = read_integer(findings, statement, 1, 1, 100, {"3 is used"})) {
    instance.down_timer_adverts = {static_cast<unsigned>(*count), statement.at()};
  }
  expect_end(findings, statement, 2);
}

void read_strict_mode(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  if (const auto on = read_switch(findings, statement, 1)) instance.strict = on;
  expect_end(findings, statement, 2);
}

void read_addresses(Findings& findings, const Statement& block, DeclaredInstance& instance) {
  if (!read_virtual_addresses(findings, block, instance.addresses)) instance.has_bad_address = true;
}

void read_excluded(Findings& findings, const Statement& block, DeclaredInstance& instance) {
  if (!read_virtual_addresses(findings, block, instance.excluded_addresses)) instance.has_bad_address = true;
}

void read_no_virtual_ipaddress(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.no_virtual_ipaddress = true;
  expect_end(findings, statement, 1);
}

void read_dont_track_primary(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  instance.dont_track_primary = true;
  expect_end(findings, statement, 1);
}

// "notify COMMAND [USER [GROUP]]"; the first one counts, as in keepalived.
template <std::string NotifyScripts::* member>
void read_notify(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  const Word* command = read_word(findings, statement, 1, "a command");
  if (command == nullptr) return;
  if (statement.words.size() > 2) {
    findings.warning(
        statement.words[2].at,
        fmt::format("'{}' after the command is not supported yet, ignored: quote a command that has arguments, "
                    "set the user with script_user",
                    quote(statement, 2)));
  }
  if (!(instance.notify.*member).empty()) {
    findings.warning(statement.at(),
                     fmt::format("'{}' is ignored: '{} {}' was said before it; keep one", quote(statement),
                                 statement.keyword(), printable(instance.notify.*member)));
    return;
  }
  instance.notify.*member = command->text;
}

template <auto read>
void read_announce(Findings& findings, const Statement& statement, DeclaredInstance& instance) {
  read(findings, statement, instance.announce);
}

constexpr auto known = std::to_array<Keyword<DeclaredInstance>>({
    {"state", read_state},
    {"interface", read_interface},
    {"virtual_router_id", read_vrid},
    {"priority", read_priority},
    {"version", read_version},
    {"advert_int", read_advert_int},
    {"nopreempt", read_nopreempt},
    {"preempt", read_preempt},
    {"preempt_delay", read_preempt_delay},
    {"accept", read_accept},
    {"no_accept", read_no_accept},
    {"unicast_src_ip", read_source},
    {"mcast_src_ip", read_source},
    {"mcast_dst_ip", read_multicast_group},
    {"unicast_peer", read_unicast_peers},
    {"v3_checksum_as_v2", read_v3_checksum_as_v2},
    {"down_timer_adverts", read_down_timer_adverts},
    {"authentication", read_authentication},
    {"strict_mode", read_strict_mode},
    {"virtual_ipaddress", read_addresses},
    {"virtual_ipaddress_excluded", read_excluded},
    {"no_virtual_ipaddress", read_no_virtual_ipaddress},
    {"dont_track_primary", read_dont_track_primary},
    {"track_interface", read_track_interfaces},
    {"track_script", read_track_scripts},
    {"garp_master_repeat", read_announce<read_announce_repeat>},
    {"garp_master_delay", read_announce<read_announce_delay>},
    {"garp_master_refresh", read_announce<read_announce_refresh>},
    {"garp_master_refresh_repeat", read_announce<read_announce_refresh_repeat>},
    {"notify", read_notify<&NotifyScripts::any>},
    {"notify_master", read_notify<&NotifyScripts::master>},
    {"notify_backup", read_notify<&NotifyScripts::backup>},
    {"notify_fault", read_notify<&NotifyScripts::fault>},
    {"notify_stop", read_notify<&NotifyScripts::stop>},
    {"notify_deleted",
     [](Findings& findings, const Statement& statement, DeclaredInstance&) { warn_unsupported(findings, statement); }},
});

constexpr auto unsupported = std::to_array<std::string_view>({
    "native_ipv6",
    "use_vmac",
    "use_vmac_addr",
    "vmac_xmit_base",
    "use_ipvlan",
    "linkbeat_use_polling",
    "lvs_sync_daemon_interface",
    "unicast_ttl",
    "unicast_fault_no_peer",
    "check_unicast_src",
    "old_unicast_checksum",
    "track_src_ip",
    "track_bfd",
    "track_file",
    "track_process",
    "promote_secondaries",
    "virtual_routes",
    "virtual_rules",
    "garp_lower_prio_delay",
    "garp_lower_prio_repeat",
    "garp_extra_if",
    "lower_prio_no_advert",
    "higher_prio_send_advert",
    "owner_ignore_adverts",
    "notify_master_rx_lower_pri",
    "notify_priority_changes",
    "kernel_rx_buf_size",
    "auth_hmac",
    "timer_expired_backup",
    "vrf",
});

constexpr auto ignored =
    std::to_array<std::string_view>({"smtp_alert", "no_smtp_alert", "debug", "skip_check_adv_addr"});

constexpr Vocabulary<DeclaredInstance> vocabulary{"vrrp_instance", known, unsupported, ignored};

// Without these an instance would speak to its peers in another way than they to it: two holders.
constexpr auto settled_with_peers = std::to_array<std::string_view>(
    {"unicast_peer", "mcast_dst_ip", "version", "authentication", "virtual_router_id", "interface"});

// A line that could not be read as a statement may have said any of it.
void refuse_unread_lines(Findings& findings, const Statement& block, std::string_view title,
                         DeclaredInstance& instance) {
  for (const Statement& statement : block.children) {
    if (!statement.unusable || instance.unusable) continue;
    const std::string_view keyword = statement.keyword();
    const bool is_conditional = keyword.starts_with('@');  // warned of, and skipped as any unsupported word
    const bool is_known = std::ranges::find(known, keyword, &Keyword<DeclaredInstance>::name) != known.end();
    const bool is_settled = std::ranges::find(settled_with_peers, keyword) != settled_with_peers.end();
    if (is_conditional || (is_known && !is_settled)) continue;
    findings.error(statement.at(),
                   fmt::format("without '{}' {} is left out: it might run as another than its peers know",
                               printable(keyword), title));
    instance.unusable = true;
  }
}

}  // namespace

void read_vrrp_instance(Findings& findings, const Statement& block, ParsedFragment& fragment) {
  const Word* name = read_word(findings, block, 1, "a name", {"the instance is left out", Severity::error});
  if (name != nullptr) expect_end(findings, block, 2, true);
  DeclaredInstance instance;
  instance.unusable = !expect_block(findings, block);
  instance.name_at = name != nullptr ? name->at : block.at();
  if (name != nullptr) instance.name = name->text;
  const std::string title = fmt::format("vrrp_instance {}", printable(instance.name));
  read_statements(findings, block.children, vocabulary, title, instance);
  refuse_unread_lines(findings, block, title, instance);
  if (name != nullptr) fragment.instances.push_back(std::move(instance));
}

BlockNames vrrp_instance_names() { return names_of(vocabulary); }

}  // namespace vipkeeper::config
