#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "engine/config/blocks.h"
#include "engine/config/language/values.h"
#include "engine/config/server_draft.h"

namespace vipkeeper::config {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

constexpr Duration longest = hours(24);

// To ask elsewhere would say nothing about the real server, and might take a good one out.
constexpr Otherwise without_check{"the check is left out, without one the real server counts as alive",
                                  Severity::error};

void read_connect_ip(Findings& findings, const Statement& statement, TcpCheckDraft& check) {
  check.connect_address = read_address(findings, statement, 1, without_check);
  if (!check.connect_address) check.unusable = true;
  expect_end(findings, statement, 2);
}

void read_connect_port(Findings& findings, const Statement& statement, TcpCheckDraft& check) {
  const auto port = read_integer(findings, statement, 1, 1, 65535, without_check);
  if (!port) check.unusable = true;
  if (port) check.connect_port = static_cast<std::uint16_t>(*port);
  expect_end(findings, statement, 2);
}

template <auto read, class Draft>
void read_timing(Findings& findings, const Statement& statement, Draft& draft) {
  read(findings, statement, draft.timing);
}

// HTTP_GET's old word: keepalived does not know it here.
void read_nb_get_retry(Findings& findings, const Statement& statement, TcpCheckDraft& check) {
  findings.warning(statement.at(), fmt::format("'{}' is taken for 'retry', which is its name in TCP_CHECK: write that",
                                               quote(statement)));
  read_retry(findings, statement, check.timing);
}

constexpr auto check_known = std::to_array<Keyword<TcpCheckDraft>>({
    {"connect_ip", read_connect_ip},
    {"connect_port", read_connect_port},
    {"connect_timeout", read_timing<read_connect_timeout, TcpCheckDraft>},
    {"retry", read_timing<read_retry, TcpCheckDraft>},
    {"nb_get_retry", read_nb_get_retry},
    {"delay_before_retry", read_timing<read_delay_before_retry, TcpCheckDraft>},
    {"delay_loop", read_timing<read_delay_loop, TcpCheckDraft>},
});
constexpr auto check_unsupported =
    std::to_array<std::string_view>({"bindto", "bind_if", "bind_port", "fwmark", "alpha"});
constexpr auto check_ignored = std::to_array<std::string_view>({"warmup", "log_all_failures"});
constexpr Vocabulary<TcpCheckDraft> check_vocabulary{"TCP_CHECK", check_known, check_unsupported, check_ignored};

void read_tcp_check(Findings& findings, const Statement& block, RealServerDraft& server) {
  expect_end(findings, block, 1, true);
  if (!expect_block(findings, block)) return;
  TcpCheckDraft check;
  check.at = block.at();
  read_statements(findings, block.children, check_vocabulary, "TCP_CHECK", check);
  if (!check.unusable) server.checks.push_back(check);
}

// The real server is served all the same: taking it out for want of a check would be worse.
void read_other_check(Findings& findings, const Statement& block, RealServerDraft&) {
  findings.warning(block.at(),
                   fmt::format("'{}' is not supported yet, ignored: without a check the real server counts as "
                               "alive; TCP_CHECK is supported",
                               block.keyword()));
}

void read_weight(Findings& findings, const Statement& statement, RealServerDraft& server) {
  if (const auto weight = read_integer(findings, statement, 1, 0, 2147483647, {"the default is used"})) {
    server.weight = static_cast<int>(*weight);
  }
  expect_end(findings, statement, 2);
}

void read_server_method(Findings& findings, const Statement& statement, RealServerDraft& server) {
  if (const auto method = read_method(findings, statement, "the virtual_server's is used")) server.method = method;
}

template <std::uint32_t RealServerDraft::* member>
void read_threshold(Findings& findings, const Statement& statement, RealServerDraft& server) {
  if (const auto threshold = read_integer(findings, statement, 1, 0, 4294967295, {"none is used"})) {
    server.*member = static_cast<std::uint32_t>(*threshold);
  }
  expect_end(findings, statement, 2);
}

void read_inhibit(Findings& findings, const Statement& statement, RealServerDraft& server) {
  if (const auto on = read_switch(findings, statement, 1)) server.inhibit_on_failure = on;
  expect_end(findings, statement, 2);
}

// A word of this program's own: keepalived has none for it.
void read_on_this_node(Findings& findings, const Statement& statement, RealServerDraft& server) {
  if (const auto on = read_switch(findings, statement, 1)) server.on_this_node = *on;
  expect_end(findings, statement, 2);
}

constexpr auto known = std::to_array<Keyword<RealServerDraft>>({
    {"weight", read_weight},
    {"lb_kind", read_server_method},
    {"lvs_method", read_server_method},
    {"uthreshold", read_threshold<&RealServerDraft::upper_threshold>},
    {"lthreshold", read_threshold<&RealServerDraft::lower_threshold>},
    {"inhibit_on_failure", read_inhibit},
    {"on_this_node", read_on_this_node},
    {"connect_timeout", read_timing<read_connect_timeout, RealServerDraft>},
    {"retry", read_timing<read_retry, RealServerDraft>},
    {"delay_before_retry", read_timing<read_delay_before_retry, RealServerDraft>},
    {"delay_loop", read_timing<read_delay_loop, RealServerDraft>},
    {"TCP_CHECK", read_tcp_check},
    {"HTTP_GET", read_other_check},
    {"SSL_GET", read_other_check},
    {"SMTP_CHECK", read_other_check},
    {"DNS_CHECK", read_other_check},
    {"MISC_CHECK", read_other_check},
    {"UDP_CHECK", read_other_check},
    {"PING_CHECK", read_other_check},
    {"BFD_CHECK", read_other_check},
    {"FILE_CHECK", read_other_check},
});
constexpr auto unsupported = std::to_array<std::string_view>({"notify_up", "notify_down", "alpha"});
constexpr auto ignored = std::to_array<std::string_view>(
    {"smtp_alert", "no_smtp_alert", "virtualhost", "snmp_name", "warmup", "log_all_failures"});
constexpr Vocabulary<RealServerDraft> vocabulary{"real_server", known, unsupported, ignored};

}  // namespace

void read_connect_timeout(Findings& findings, const Statement& statement, CheckTiming& timing) {
  if (const auto timeout = read_seconds(findings, statement, 1, microseconds(1), longest, {"the default is used"})) {
    timing.connect_timeout = timeout;
  }
  expect_end(findings, statement, 2);
}

void read_delay_loop(Findings& findings, const Statement& statement, CheckTiming& timing) {
  if (const auto delay = read_seconds(findings, statement, 1, microseconds(1), longest, {"the default is used"})) {
    timing.delay_loop = delay;
  }
  expect_end(findings, statement, 2);
}

void read_retry(Findings& findings, const Statement& statement, CheckTiming& timing) {
  if (const auto retry = read_integer(findings, statement, 1, 0, 4294967295, {"the default is used"})) {
    timing.retry = static_cast<unsigned>(*retry);
  }
  expect_end(findings, statement, 2);
}

void read_delay_before_retry(Findings& findings, const Statement& statement, CheckTiming& timing) {
  if (const auto delay = read_seconds(findings, statement, 1, Duration{0}, longest, {"the default is used"})) {
    timing.delay_before_retry = delay;
  }
  expect_end(findings, statement, 2);
}

std::optional<ForwardingMethod> read_method(Findings& findings, const Statement& statement,
                                            std::string_view consequence) {
  const Word* method = read_word(findings, statement, 1, "NAT, DR or TUN", {consequence});
  if (method == nullptr) return std::nullopt;
  if (method->text == "TUN" && statement.words.size() > 2) {
    findings.warning(statement.words[2].at,
                     fmt::format("'{}' of TUN is not supported yet, ignored: ipip is used", quote(statement, 2)));
  } else {
    expect_end(findings, statement, 2);
  }
  if (method->text == "NAT") return ForwardingMethod::masquerade;
  if (method->text == "DR") return ForwardingMethod::direct;
  if (method->text == "TUN") return ForwardingMethod::tunnel;
  findings.warning(method->at,
                   fmt::format("'{}': the method is NAT, DR or TUN in capitals, {}", quote(statement), consequence));
  return std::nullopt;
}

void read_real_server(Findings& findings, const Statement& block, VirtualServerDraft& server) {
  RealServerDraft draft;
  draft.at = block.at();
  const auto address = read_address(findings, block, 1);
  bool usable = address.has_value();
  if (block.words.size() > 2) {
    const auto port = read_integer(findings, block, 2, 0, 65535, {"it is left out", Severity::error});
    usable = usable && port;
    // 0 is the kernel's way to say: the port that was asked for.
    if (port.value_or(0) != 0) draft.port = static_cast<std::uint16_t>(*port);
  }
  expect_end(findings, block, 3, true);
  read_statements(findings, block.children, vocabulary, quote(block, 0, 3), draft);
  if (!usable) {
    server.has_bad_real_server = true;
    return;
  }
  draft.address = *address;
  server.real_servers.push_back(std::move(draft));
}

BlockNames real_server_names() { return names_of(vocabulary); }
BlockNames tcp_check_names() { return names_of(check_vocabulary); }

}  // namespace vipkeeper::config
