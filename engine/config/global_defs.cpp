#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "engine/config/blocks.h"
#include "engine/config/language/values.h"

namespace vipkeeper::config {
namespace {

using std::chrono::seconds;

void read_text(Findings& findings, const Statement& statement, std::optional<std::string>& into,
               std::string_view what) {
  if (const Word* word = read_word(findings, statement, 1, what)) into = word->text;
  expect_end(findings, statement, 2);
}

void read_router_id(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  read_text(findings, statement, globals.router_id, "a name");
}

void read_default_interface(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  read_text(findings, statement, globals.default_interface, "an interface");
}

void read_vrrp_version(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  if (const auto version = read_integer(findings, statement, 1, 2, 3, {"version 2 is used"})) {
    globals.vrrp_version = static_cast<int>(*version);
  }
  expect_end(findings, statement, 2);
}

void read_mcast_group4(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  const auto group = read_address(findings, statement, 1);
  expect_end(findings, statement, 2);
  globals.multicast_group_is_bad = !group || !group->is_v4() || !group->is_multicast();
  if (!globals.multicast_group_is_bad) {
    globals.multicast_group = group;
  } else if (group) {
    findings.error(
        statement.words[1].at,
        fmt::format("'{}' is left out: needs an IPv4 multicast address, 224.0.0.18 by default", quote(statement)));
  }
}

void read_script_user(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  if (auto user = read_user(findings, statement, 1)) globals.script_user = std::move(user);
}

void read_realtime_priority(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  if (const auto priority = read_integer(findings, statement, 1, 1, 99, {"no real-time scheduling is used"}))
    globals.realtime_priority = static_cast<int>(*priority);
  expect_end(findings, statement, 2);
}

void read_no_swap(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  globals.lock_memory = true;
  expect_end(findings, statement, 1);
}

// -1 and 0 ask for nothing.
void read_max_auto_priority(Findings& findings, const Statement& statement, DeclaredGlobals&) {
  if (statement.words.size() == 2 && parse_integer(statement.words[1].text).value_or(1) <= 0) return;
  warn_without_effect(findings, statement, "a late thread is not given a priority by itself: say vrrp_rt_priority");
}

void read_enable_script_security(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  globals.enable_script_security = true;
  // keepalived takes no word behind it; "true" is what people write there.
  const bool says_on = statement.words.size() > 1 && read_switch(findings, statement, 1).value_or(false);
  expect_end(findings, statement, says_on ? 2 : 1);
}

void read_strict(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  if (const auto on = read_switch(findings, statement, 1)) globals.strict = on;
  expect_end(findings, statement, 2);
}

void read_v3_checksum_as_v2(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  if (const auto on = read_switch(findings, statement, 1)) globals.v3_checksum_as_v2 = on;
  expect_end(findings, statement, 2);
}

// Fewer gratuitous ARPs: one, and no second block.
void read_min_garp(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  const auto on = read_switch(findings, statement, 1);
  if (on.value_or(false)) {
    globals.announce.repeat = 1;
    globals.announce.delay = Duration{0};
  }
  expect_end(findings, statement, 2);
}

// The packaged sample says 0, which keepalived takes for a mistake and goes on.
void read_packet_gap(Findings& findings, const Statement& statement, DeclaredGlobals&) {
  const auto gap =
      read_seconds(findings, statement, 1, std::chrono::microseconds(1), seconds(4294), {"no gap is kept"});
  if (gap) warn_unsupported(findings, statement);
  expect_end(findings, statement, 2);
}

void read_mail(Findings& findings, const Statement& statement, DeclaredGlobals&) {
  findings.warning(
      statement.at(),
      fmt::format("'{}' is not supported yet, no mail is sent: use 'notify' scripts or metrics", statement.keyword()));
}

template <auto read>
void read_announce(Findings& findings, const Statement& statement, DeclaredGlobals& globals) {
  read(findings, statement, globals.announce);
}

constexpr auto known = std::to_array<Keyword<DeclaredGlobals>>({
    {"router_id", read_router_id},
    {"vrrp_version", read_vrrp_version},
    {"vrrp_mcast_group4", read_mcast_group4},
    {"vrrp_garp_master_repeat", read_announce<read_announce_repeat>},
    {"vrrp_garp_master_delay", read_announce<read_announce_delay>},
    {"vrrp_garp_master_refresh", read_announce<read_announce_refresh>},
    {"vrrp_garp_master_refresh_repeat", read_announce<read_announce_refresh_repeat>},
    {"vrrp_min_garp", read_min_garp},
    {"vrrp_garp_interval", read_packet_gap},
    {"vrrp_gna_interval", read_packet_gap},
    {"script_user", read_script_user},
    {"enable_script_security", read_enable_script_security},
    {"vrrp_rt_priority", read_realtime_priority},
    {"vrrp_no_swap", read_no_swap},
    {"max_auto_priority", read_max_auto_priority},
    {"vrrp_strict", read_strict},
    {"v3_checksum_as_v2", read_v3_checksum_as_v2},
    {"vrrp_v3_checksum_as_v2", read_v3_checksum_as_v2},
    {"default_interface", read_default_interface},
    {"notification_email", read_mail},
});

constexpr auto unsupported = std::to_array<std::string_view>({
    "vrrp_iptables",
    "vrrp_ipsets",
    "nftables",
    "nftables_priority",
    "nftables_ifindex",
    "nftables_counters",
    "nftables_ipvs",
    "nftables_ipvs_start_fwmark",
    "vrrp_mcast_group6",
    "vrrp_garp_lower_prio_delay",
    "vrrp_garp_lower_prio_repeat",
    "vrrp_garp_extra_if",
    "vrrp_lower_prio_no_advert",
    "vrrp_higher_prio_send_advert",
    "vrrp_check_unicast_src",
    "vrrp_startup_delay",
    "vrrp_owner_ignore_adverts",
    "vrrp_notify_priority_changes",
    "vmac_prefix",
    "vmac_addr_prefix",
    "dynamic_interfaces",
    "interface_up_down_delays",
    "linkbeat_use_polling",
    "lvs_sync_daemon",
    "lvs_timeouts",
    "lvs_flush",
    "lvs_flush_on_stop",
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
    "vrrp_notify_fifo",
    "vrrp_notify_fifo_script",
    "notify_fifo",
    "notify_fifo_script",
    "fifo_write_vrrp_states_on_reload",
    "net_namespace",
    "net_namespace_ipvs",
    "namespace_with_ipsets",
    "instance",
    "disable_local_igmp",
    "checker_log_all_failures",
    "checker_alpha",
    "timer_expired_backup",
    "reload_file",
    "reload_time_file",
    "startup_script",
    "startup_script_timeout",
    "shutdown_script",
    "shutdown_script_timeout",
    "enable_dbus",
    "enable_traps",
    "enable_snmp_vrrp",
    "enable_snmp_checker",
    "enable_snmp_keepalived",
    "enable_snmp_rfc",
    "enable_snmp_rfcv2",
    "enable_snmp_rfcv3",
});

// In silence, since nearly every keepalived.conf has them and nothing is lost: mail's other half (notification_email
// has its warning), and a saving of work that is not done here either (an ADVERTISEMENT's addresses are looked at
// always).
constexpr auto ignored = std::to_array<std::string_view>({
    "notification_email_from",
    "smtp_server",
    "smtp_connect_timeout",
    "smtp_helo_name",
    "smtp_alert",
    "smtp_alert_vrrp",
    "smtp_alert_checker",
    "no_email_faults",
    "email_faults",
    "no_checker_emails",
    "vrrp_skip_check_adv_addr",
});

// Whoever wrote these wanted something of keepalived's own processes, and shall know that it is not to be had this way.
constexpr std::string_view one_process =
    "there are threads and no such process; vrrp_rt_priority and vrrp_no_swap work";
constexpr std::string_view names = "there is one process, its threads are named after their work";
constexpr std::string_view limits = "no thread is ended for the time that it takes";
constexpr std::string_view placed =
    "the processors are chosen from outside: by a cpuset, taskset or the pod's requests";
constexpr std::string_view buffers = "the sizes of its sockets' buffers are fixed";
constexpr std::string_view no_bus = "there is no SNMP and no D-Bus; metrics are at /metrics";

constexpr auto without_effect = std::to_array<WithoutEffect>({
    {"snmp_socket", no_bus},
    {"snmp_vs_stats_update_interval", no_bus},
    {"snmp_rs_stats_update_interval", no_bus},
    {"dbus_service_name", no_bus},
    {"dbus_no_interface_name", no_bus},
    {"vrrp_priority", "a nice value is given from outside; vrrp_rt_priority works"},
    {"checker_priority", one_process},
    {"bfd_priority", one_process},
    {"checker_no_swap", one_process},
    {"bfd_no_swap", one_process},
    {"checker_rt_priority", one_process},
    {"bfd_rt_priority", one_process},
    {"rt_priority", "say vrrp_rt_priority"},
    {"vrrp_cpu_affinity", placed},
    {"checker_cpu_affinity", placed},
    {"bfd_cpu_affinity", placed},
    {"vrrp_rlimit_rttime", limits},
    {"checker_rlimit_rttime", limits},
    {"bfd_rlimit_rttime", limits},
    {"rlimit_rttime", limits},
    {"min_auto_priority_delay", "a late thread is not given a priority by itself: say vrrp_rt_priority"},
    {"process_names", names},
    {"process_name", names},
    {"parent_process_name", names},
    {"vrrp_process_name", names},
    {"checker_process_name", names},
    {"bfd_process_name", names},
    {"use_symlink_paths", "a script is run by the path that is written"},
    {"vrrp_netlink_cmd_rcv_bufs", buffers},
    {"vrrp_netlink_cmd_rcv_bufs_force", buffers},
    {"vrrp_netlink_monitor_rcv_bufs", buffers},
    {"vrrp_netlink_monitor_rcv_bufs_force", buffers},
    {"lvs_netlink_cmd_rcv_bufs", buffers},
    {"lvs_netlink_cmd_rcv_bufs_force", buffers},
    {"lvs_netlink_monitor_rcv_bufs", buffers},
    {"lvs_netlink_monitor_rcv_bufs_force", buffers},
    {"process_monitor_rcv_bufs", "no process is watched"},
    {"process_monitor_rcv_bufs_force", "no process is watched"},
    {"vrrp_rx_bufs_policy", buffers},
    {"vrrp_rx_bufs_multiplier", buffers},
    {"rs_init_notifies", "no script is called for real servers"},
    {"umask", "it is that of whoever starts vipkeeper"},
    {"use_pid_dir", "no pid file is written"},
    {"reload_check_config", "a text is always checked before it is taken"},
    {"tmp_config_directory", "no file is written while a configuration is read"},
});

constexpr Vocabulary<DeclaredGlobals> vocabulary{"global_defs", known, unsupported, ignored, without_effect};

template <class T>
void overlay_one(std::optional<T>& older, const std::optional<T>& newer) {
  if (newer) older = newer;
}

}  // namespace

void overlay(DeclaredGlobals& older, const DeclaredGlobals& newer) {
  overlay_one(older.router_id, newer.router_id);
  overlay_one(older.vrrp_version, newer.vrrp_version);
  overlay_one(older.multicast_group, newer.multicast_group);
  if (newer.multicast_group) older.multicast_group_is_bad = false;
  if (newer.multicast_group_is_bad) older.multicast_group_is_bad = true;
  overlay_one(older.announce.repeat, newer.announce.repeat);
  overlay_one(older.announce.delay, newer.announce.delay);
  overlay_one(older.announce.refresh, newer.announce.refresh);
  overlay_one(older.announce.refresh_repeat, newer.announce.refresh_repeat);
  overlay_one(older.v3_checksum_as_v2, newer.v3_checksum_as_v2);
  overlay_one(older.script_user, newer.script_user);
  overlay_one(older.enable_script_security, newer.enable_script_security);
  overlay_one(older.realtime_priority, newer.realtime_priority);
  overlay_one(older.lock_memory, newer.lock_memory);
  overlay_one(older.strict, newer.strict);
  overlay_one(older.default_interface, newer.default_interface);
}

void read_global_defs(Findings& findings, const Statement& block, ParsedFragment& fragment) {
  expect_end(findings, block, 1, true);
  if (!expect_block(findings, block)) return;
  if (!fragment.globals) fragment.globals.emplace();
  read_statements(findings, block.children, vocabulary, "global_defs", *fragment.globals);
}

BlockNames global_defs_names() { return names_of(vocabulary); }

void read_announce_repeat(Findings& findings, const Statement& statement, DeclaredAnnounce& announce) {
  // 0 is taken for 1, as keepalived does.
  if (const auto repeat = read_integer(findings, statement, 1, 0, 255, {"the default is used"})) {
    announce.repeat = static_cast<unsigned>(std::max<std::int64_t>(*repeat, 1));
  }
  expect_end(findings, statement, 2);
}

void read_announce_delay(Findings& findings, const Statement& statement, DeclaredAnnounce& announce) {
  if (const auto delay = read_seconds(findings, statement, 1, seconds(0), seconds(86400), {"the default is used"})) {
    announce.delay = delay;
  }
  expect_end(findings, statement, 2);
}

void read_announce_refresh(Findings& findings, const Statement& statement, DeclaredAnnounce& announce) {
  if (const auto refresh = read_seconds(findings, statement, 1, seconds(0), seconds(86400), {"the default is used"})) {
    announce.refresh = refresh;
  }
  expect_end(findings, statement, 2);
}

void read_announce_refresh_repeat(Findings& findings, const Statement& statement, DeclaredAnnounce& announce) {
  if (const auto repeat = read_integer(findings, statement, 1, 0, 255, {"the default is used"})) {
    announce.refresh_repeat = static_cast<unsigned>(std::max<std::int64_t>(*repeat, 1));
  }
  expect_end(findings, statement, 2);
}

}  // namespace vipkeeper::config
