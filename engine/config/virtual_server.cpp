#include <algorithm>
#include <array>
#include <bit>
#include <cctype>

#include <fmt/format.h>

#include "engine/base/nearest.h"
#include "engine/config/blocks.h"
#include "engine/config/language/values.h"
#include "engine/config/server_draft.h"

namespace vipkeeper::config {
namespace {

constexpr auto schedulers = std::to_array<std::string_view>(
    {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos"});

// linux/ip_vs.h
constexpr std::uint32_t one_packet = 0x4;
constexpr std::uint32_t scheduler_flag_1 = 0x8;
constexpr std::uint32_t scheduler_flag_2 = 0x10;
constexpr std::uint32_t scheduler_flag_3 = 0x20;

constexpr std::uint32_t default_persistence = 360;

void read_scheduler(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  expect_end(findings, statement, 2);
  const Word* name = read_word(findings, statement, 1, "a scheduler", {"wlc is used"});
  const bool good = name != nullptr && std::ranges::find(schedulers, name->text) != schedulers.end();
  server.scheduler_is_bad = !good;
  if (good) {
    server.scheduler = name->text;
    return;
  }
  if (name == nullptr) return;
  const std::string_view meant = nearest(name->text, schedulers);
  const std::string hint = meant.empty() ? std::string() : fmt::format("; did you mean '{}'?", meant);
  findings.warning(name->at, fmt::format("'{}': the scheduler is one of {}, wlc is used{}", quote(statement),
                                         fmt::join(schedulers, " "), hint));
}

void read_server_method(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  const auto method = read_method(findings, statement, "NAT is used");
  server.method_is_bad = !method;
  if (method) server.method = method;
}

// A word of this program's own: with keepalived, masquerading is left to whoever writes the packet filter's rules.
void read_masquerade(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  expect_end(findings, statement, 2);
  const Word* word = read_word(findings, statement, 1, "auto, always or never", {"never is used"});
  if (word == nullptr) return;
  if (word->text == "auto") {
    server.masquerade = Masquerade::automatic;
  } else if (word->text == "always") {
    server.masquerade = Masquerade::always;
  } else if (word->text == "never") {
    server.masquerade = Masquerade::never;
  } else {
    findings.warning(word->at,
                     fmt::format("'{}': masquerade is auto, always or never, never is used", quote(statement)));
  }
}

void read_protocol(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  expect_end(findings, statement, 2);
  const Word* word = read_word(findings, statement, 1, "TCP, UDP or SCTP", {"UDP is used"});
  server.protocol_is_bad = word == nullptr;
  if (word == nullptr) return;
  std::string name = word->text;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name == "TCP") {
    server.protocol = Protocol::tcp;
  } else if (name == "UDP") {
    server.protocol = Protocol::udp;
  } else if (name == "SCTP") {
    server.protocol = Protocol::sctp;
  } else {
    server.protocol_is_bad = true;
    findings.warning(word->at, fmt::format("'{}': the protocol is TCP, UDP or SCTP, UDP is used", quote(statement)));
  }
}

void read_persistence_timeout(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  if (statement.words.size() < 2) {
    server.persistence_seconds = default_persistence;
    return;
  }
  if (const auto timeout = read_integer(findings, statement, 1, 1, 2678400, {"no persistence is used"})) {
    server.persistence_seconds = static_cast<std::uint32_t>(*timeout);
  }
  expect_end(findings, statement, 2);
}

// A netmask for IPv4, a prefix length for IPv6; lengths are taken for both.
void read_persistence_granularity(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  expect_end(findings, statement, 2);
  const Word* word = read_word(findings, statement, 1, "a netmask or a prefix length");
  if (word == nullptr) return;
  const auto mask = IpAddress::parse(word->text);
  if (mask && mask->is_v4()) {
    const std::uint32_t bits = mask->v4_host_order();
    const int length = std::countl_one(bits);
    if (length > 0 && std::popcount(bits) == length) {
      server.persistence_prefix = static_cast<std::uint32_t>(length);
      return;
    }
  }
  const auto length = parse_integer(word->text);
  const std::int64_t longest = server.address.is_v4() && server.fwmark == 0 ? 32 : 128;
  if (!mask && length && *length >= 1 && *length <= longest) {
    server.persistence_prefix = static_cast<std::uint32_t>(*length);
    return;
  }
  findings.warning(word->at, fmt::format("'{}': needs a netmask or a prefix length from 1 to {}, ignored",
                                         quote(statement), longest));
}

template <std::uint32_t flag>
void read_flag(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  server.scheduler_flags |= flag;
  expect_end(findings, statement, 1);
}

void read_alpha(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  if (const auto on = read_switch(findings, statement, 1)) server.alpha = *on;
  expect_end(findings, statement, 2);
}

void read_inhibit(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  if (const auto on = read_switch(findings, statement, 1)) server.inhibit_on_failure = on;
  expect_end(findings, statement, 2);
}

void read_quorum(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  if (const auto quorum = read_integer(findings, statement, 1, 1, 2147483647, {"1 is used"})) {
    server.quorum = {static_cast<unsigned>(*quorum), statement.at()};
  }
  expect_end(findings, statement, 2);
}

void read_hysteresis(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  if (const auto hysteresis = read_integer(findings, statement, 1, 0, 2147483647, {"0 is used"})) {
    server.hysteresis = {static_cast<unsigned>(*hysteresis), statement.at()};
  }
  expect_end(findings, statement, 2);
}

void read_weight(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  if (const auto weight = read_integer(findings, statement, 1, 1, 2147483647, {"1 is used"})) {
    server.weight = static_cast<int>(*weight);
  }
  expect_end(findings, statement, 2);
}

void read_family(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  expect_end(findings, statement, 2);
  const Word* family = read_word(findings, statement, 1, "inet or inet6");
  if (family == nullptr) return;
  if (family->text == "inet") {
    server.family = Family::ipv4;
  } else if (family->text == "inet6") {
    server.family = Family::ipv6;
  } else {
    findings.warning(family->at, fmt::format("'{}': the family is inet or inet6, ignored", quote(statement)));
  }
}

template <auto read>
void read_timing(Findings& findings, const Statement& statement, VirtualServerDraft& server) {
  read(findings, statement, server.timing);
}

constexpr auto known = std::to_array<Keyword<VirtualServerDraft>>({
    {"delay_loop", read_timing<read_delay_loop>},
    {"connect_timeout", read_timing<read_connect_timeout>},
    {"retry", read_timing<read_retry>},
    {"delay_before_retry", read_timing<read_delay_before_retry>},
    {"lb_algo", read_scheduler},
    {"lvs_sched", read_scheduler},
    {"lb_kind", read_server_method},
    {"lvs_method", read_server_method},
    {"masquerade", read_masquerade},
    {"protocol", read_protocol},
    {"persistence_timeout", read_persistence_timeout},
    {"persistence_granularity", read_persistence_granularity},
    {"ops", read_flag<one_packet>},
    {"flag-1", read_flag<scheduler_flag_1>},
    {"flag-2", read_flag<scheduler_flag_2>},
    {"flag-3", read_flag<scheduler_flag_3>},
    {"sh-fallback", read_flag<scheduler_flag_1>},
    {"sh-port", read_flag<scheduler_flag_2>},
    {"mh-fallback", read_flag<scheduler_flag_1>},
    {"mh-port", read_flag<scheduler_flag_2>},
    {"alpha", read_alpha},
    {"inhibit_on_failure", read_inhibit},
    {"quorum", read_quorum},
    {"hysteresis", read_hysteresis},
    {"weight", read_weight},
    {"ip_family", read_family},
    {"real_server", read_real_server},
    {"omega", [](Findings& findings, const Statement& statement,
                 VirtualServerDraft&) { warn_unsupported(findings, statement); }},
});

constexpr auto unsupported = std::to_array<std::string_view>(
    {"sorry_server", "sorry_server_inhibit", "sorry_server_lvs_method", "quorum_up", "quorum_down", "ha_suspend",
     "lvs_flush_on_stop", "persistence_engine", "bind_if", "hashed"});

constexpr auto ignored = std::to_array<std::string_view>(
    {"virtualhost", "snmp_name", "smtp_alert", "no_smtp_alert", "warmup", "log_all_failures"});

constexpr Vocabulary<VirtualServerDraft> vocabulary{"virtual_server", known, unsupported, ignored};

// "IP [PORT]", "fwmark N" or "group NAME"; false: not usable, and reported.
bool read_key(Findings& findings, const Statement& block, VirtualServerDraft& draft) {
  const Otherwise otherwise{"it is left out", Severity::error};
  const Word* first = read_word(findings, block, 1, "an IP address and a port, or 'fwmark N'", otherwise);
  if (first == nullptr) return false;
  if (first->text == "group") {
    findings.error(block.at(),
                   fmt::format("'{}' is left out: groups are not supported yet, write a virtual_server for each "
                               "of its addresses",
                               quote(block)));
    return false;
  }
  if (first->text == "fwmark") {
    const auto mark = read_integer(findings, block, 2, 1, 4294967295, otherwise);
    draft.fwmark = static_cast<std::uint32_t>(mark.value_or(0));
    return mark.has_value();
  }
  const auto address = IpAddress::parse(first->text);
  if (!address) {
    const auto colon = first->text.rfind(':');
    const bool has_port = colon != std::string::npos && IpAddress::parse(first->text.substr(0, colon));
    const std::string remedy = has_port ? fmt::format("write '{} {}'", printable(first->text.substr(0, colon)),
                                                      printable(first->text.substr(colon + 1)))
                                        : std::string("write 'virtual_server IP PORT'");
    findings.error(first->at, fmt::format("'{}': '{}' is not an IP address, it is left out: {}", quote(block),
                                          printable(first->text), remedy));
    return false;
  }
  draft.address = *address;
  draft.family = address->family();
  if (block.words.size() < 3) return true;
  const auto port = read_integer(findings, block, 2, 0, 65535, otherwise);
  draft.port = static_cast<std::uint16_t>(port.value_or(0));
  return port.has_value();
}

}  // namespace

void read_virtual_server(Findings& findings, const Statement& block, ParsedFragment& fragment) {
  VirtualServerDraft draft;
  draft.at = block.at();
  draft.title = quote(block);
  const bool is_group = block.words.size() > 1 && block.words[1].text == "group";
  const bool usable = read_key(findings, block, draft);
  if (is_group) return;
  expect_end(findings, block, 3, true);
  if (!expect_block(findings, block)) return;
  read_statements(findings, block.children, vocabulary, draft.title, draft);
  draft.has_bad_real_server |= std::ranges::any_of(block.children, [](const Statement& statement) {
    return statement.unusable && statement.keyword() == "real_server";
  });
  if (!usable) return;
  fragment.servers.push_back(resolve_server(findings, draft, block.comment));
}

BlockNames virtual_server_names() { return names_of(vocabulary); }

}  // namespace vipkeeper::config
