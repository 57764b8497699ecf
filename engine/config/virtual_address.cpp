#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "engine/config/instance_lists.h"
#include "engine/config/language/values.h"

namespace vipkeeper::config {
namespace {

struct ScopeName {
  std::string_view name;
  Scope scope;
};
constexpr auto scope_names = std::to_array<ScopeName>({{"global", Scope::global},
                                                       {"site", Scope::site},
                                                       {"link", Scope::link},
                                                       {"host", Scope::host},
                                                       {"nowhere", Scope::nowhere}});

// ip-address(8)'s options that keepalived hands to the kernel.
constexpr auto unsupported_flags =
    std::to_array<std::string_view>({"home", "-nodad", "mngtmpaddr", "noprefixroute", "autojoin", "use_vmac"});
constexpr auto unsupported_values = std::to_array<std::string_view>({"peer", "preferred_lft"});
constexpr std::size_t longest_label = 15;  // IFNAMSIZ without its NUL

void warn(Findings& findings, const Statement& statement, std::size_t index, std::string_view complaint) {
  const Position at = statement.words[std::min(index, statement.words.size() - 1)].at;
  findings.warning(at, fmt::format("'{}': {}", quote(statement), complaint));
}

void read_broadcast(Findings& findings, const Statement& statement, std::size_t index, VirtualAddress& address) {
  const std::string& text = statement.words[index].text;
  if (text == "-") return;
  if (!address.prefix.address.is_v4()) {
    warn(findings, statement, index, "an IPv6 address has no broadcast address, ignored");
    return;
  }
  if (text == "+") {
    const std::uint32_t host_bits =
        address.prefix.length == 0 ? 0xffffffffU : (1U << (32U - address.prefix.length)) - 1U;
    address.broadcast = IpAddress::v4(address.prefix.address.v4_host_order() | host_bits);
    return;
  }
  address.broadcast = IpAddress::parse(text);
  if (!address.broadcast) {
    warn(findings, statement, index,
         fmt::format("broadcast '{}' is neither an IP address nor '+' nor '-', ignored", printable(text)));
  }
}

void read_scope(Findings& findings, const Statement& statement, std::size_t index, VirtualAddress& address) {
  const std::string& text = statement.words[index].text;
  const auto scope = std::ranges::find(scope_names, text, &ScopeName::name);
  if (scope != scope_names.end()) {
    address.scope = scope->scope;
  } else {
    warn(findings, statement, index,
         fmt::format("scope '{}' is none of global, site, link, host, nowhere, ignored", printable(text)));
  }
}

void read_label(Findings& findings, const Statement& statement, std::size_t index, VirtualAddress& address) {
  const std::string& text = statement.words[index].text;
  if (!address.prefix.address.is_v4()) {
    warn(findings, statement, index, "only an IPv4 address can have a label, ignored");
  } else if (text.size() > longest_label) {
    warn(findings, statement, index,
         fmt::format("label '{}' is longer than {} characters, ignored", printable(text), longest_label));
  } else {
    address.label = text;
  }
}

// The options behind the address; returns the index of the first word not used.
void read_options(Findings& findings, const Statement& statement, VirtualAddress& address) {
  for (std::size_t i = 1; i < statement.words.size(); ++i) {
    const std::string& option = statement.words[i].text;
    if (option == "no_track") {
      address.no_track = true;
      continue;
    }
    if (std::ranges::find(unsupported_flags, option) != unsupported_flags.end()) {
      warn(findings, statement, i, fmt::format("'{}' is not supported yet, ignored", option));
      continue;
    }
    const bool is_unsupported = std::ranges::find(unsupported_values, option) != unsupported_values.end();
    const bool takes_value = is_unsupported || option == "dev" || option == "brd" || option == "broadcast" ||
                             option == "scope" || option == "label";
    if (!takes_value) {
      if (IpPrefix::parse(option)) {
        findings.error(statement.words[i].at,
                       fmt::format("'{}': a second address '{}' on the line is left out: put each on its own line",
                                   quote(statement), printable(option)));
      } else {
        warn(findings, statement, i, fmt::format("unknown option '{}', ignored", printable(option)));
      }
      continue;
    }
    if (++i >= statement.words.size()) {
      warn(findings, statement, i, fmt::format("'{}' needs a value, ignored", option));
      return;
    }
    if (is_unsupported) warn(findings, statement, i - 1, fmt::format("'{}' is not supported yet, ignored", option));
    if (option == "dev") address.interface = statement.words[i].text;
    if (option == "brd" || option == "broadcast") read_broadcast(findings, statement, i, address);
    if (option == "scope") read_scope(findings, statement, i, address);
    if (option == "label") read_label(findings, statement, i, address);
  }
}

// "ADDRESS[/LENGTH]"; a wrong length is taken for the host prefix, as keepalived does.
std::optional<IpPrefix> read_prefix(Findings& findings, const Statement& statement) {
  const std::string& text = statement.words.front().text;
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(std::string_view(text).substr(0, slash));
  if (!address) {
    findings.error(
        statement.at(),
        fmt::format("'{}' is not an IP address, it is left out: write ADDRESS or ADDRESS/LENGTH", printable(text)));
    return std::nullopt;
  }
  if (address->is_unspecified() || address->is_multicast()) {
    findings.error(statement.at(),
                   fmt::format("'{}' is left out: no host can hold it as its address; remove it", printable(text)));
    return std::nullopt;
  }
  const auto prefix = IpPrefix::parse(text);
  if (prefix) return prefix;
  warn(findings, statement, 0, fmt::format("the prefix length must be 0 to {0}, /{0} is used", address->bit_length()));
  return IpPrefix{*address, static_cast<std::uint8_t>(address->bit_length())};
}

}  // namespace

bool read_virtual_addresses(Findings& findings, const Statement& block, std::vector<Said<VirtualAddress>>& into) {
  expect_end(findings, block, 1, true);
  if (!expect_block(findings, block)) return false;
  bool all_good = true;
  for (const Statement& statement : block.children) {
    const auto prefix = statement.unusable ? std::nullopt : read_prefix(findings, statement);
    if (!prefix) {
      all_good = false;
      continue;
    }
    VirtualAddress address;
    address.prefix = *prefix;
    read_options(findings, statement, address);
    expect_end(findings, statement, statement.words.size());
    into.push_back({std::move(address), statement.at()});
  }
  return all_good;
}

}  // namespace vipkeeper::config
