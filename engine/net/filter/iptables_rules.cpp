// Masquerading by iptables; nft_rules.cpp says why and how, this is the same in the older language:
//
//     PREROUTING, OUTPUT  -> VIPKEEPER-PRE    marks the first packet of a connection to a virtual service
//     POSTROUTING         -> VIPKEEPER-POST   masquerades what is marked and what IPVS (xt_ipvs) has rewritten
//
// Why a mark: a set can only be asked about what the packet shows, and it shows the virtual service until IPVS has
// rewritten it. Table nat sees the first packet of a connection alone, so the mark is on no other. Its two bits
// (0x1000, and 0x2000 for "always") are neither kube-proxy's (0x4000, 0x8000) nor Calico's or Cilium's (0x0f00, the
// upper half).
//
// iptables changes a table as a whole and tells nobody, so what is seldom (the chains) is done by its own programs and
// compared by counts that cost two system calls; what is frequent (a virtual service more) is an element of a set, and
// no table is touched. A set that is made anew keeps what it had until it is right: rules that use it never see it
// empty.

#include "engine/net/filter/iptables_rules.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "engine/base/unique_fd.h"
#include "engine/net/command.h"

namespace vipkeeper::net {
namespace {

using return_path::FamilyRules;
using return_path::Masquerade;
using return_path::Operation;
using return_path::Scaffold;

// Long: a kube-proxy with many Services holds the lock for seconds.
constexpr auto patience = std::chrono::seconds(20);

std::string pre_chain(const std::string& suffix) { return "VIPKEEPER-PRE" + suffix; }
std::string post_chain(const std::string& suffix) { return "VIPKEEPER-POST" + suffix; }

enum class Set : std::uint8_t { automatic, always, near };
constexpr std::array all_sets{Set::automatic, Set::always, Set::near};

std::string set_name(const std::string& suffix, Family family, Set set) {
  constexpr std::array<std::string_view, 3> words{"auto", "always", "near"};
  return fmt::format("vipkeeper-{}-{}{}", words[static_cast<std::size_t>(set)], family == Family::ipv4 ? 4 : 6, suffix);
}

Set set_of(Masquerade masquerade) { return masquerade == Masquerade::always ? Set::always : Set::automatic; }

std::string program(Family family, std::string_view verb) {
  return fmt::format("{}-legacy-{}", family == Family::ipv4 ? "iptables" : "ip6tables", verb);
}

// What it says is seldom what is missing.
Error with_remedy(const Error& error) {
  if (error.code != ErrorCode::io) return error;
  return error.with_context(
      "iptables needs NET_ADMIN, NET_RAW, and iptable_nat, xt_set, xt_ipvs, xt_mark, xt_comment, xt_MASQUERADE loaded");
}

// Asking iptables of a table loads it, so that a kernel without one would have one afterwards.
bool has_nat_table(Family family) {
  std::ifstream names(family == Family::ipv4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names");
  std::string name;
  while (names >> name)
    if (name == "nat") return true;
  return false;
}

// struct ipt_getinfo (linux/netfilter_ipv4/ip_tables.h, which C++ cannot read); ip6t_getinfo is the same.
struct TableInfo {
  std::array<char, 32> name{'n', 'a', 't'};
  std::array<std::uint32_t, 13> numbers{};  // valid_hooks, hook_entry[5], underflow[5], num_entries, size
};
constexpr int get_info = 64;  // IPT_SO_GET_INFO, IP6T_SO_GET_INFO

std::vector<std::uint32_t> table_numbers(Family family) {
  if (!has_nat_table(family)) return {};
  const bool is_v4 = family == Family::ipv4;
  const UniqueFd socket(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  TableInfo info;
  socklen_t size = sizeof info;
  if (!socket || ::getsockopt(socket.get(), is_v4 ? IPPROTO_IP : IPPROTO_IPV6, get_info, &info, &size) != 0) return {};
  return {info.numbers.begin(), info.numbers.end()};
}

std::optional<IpSets::Change> change_of(const std::string& suffix, Family family, const Operation& operation) {
  if (const auto* add = std::get_if<return_path::AddService>(&operation))
    return IpSets::Change{set_name(suffix, family, set_of(add->masquerade)), add->service, true};
  if (const auto* remove = std::get_if<return_path::DeleteService>(&operation))
    return IpSets::Change{set_name(suffix, family, set_of(remove->masquerade)), remove->service, false};
  if (const auto* add = std::get_if<return_path::AddNear>(&operation))
    return IpSets::Change{set_name(suffix, family, Set::near), add->network, true};
  if (const auto* remove = std::get_if<return_path::DeleteNear>(&operation))
    return IpSets::Change{set_name(suffix, family, Set::near), remove->network, false};
  return std::nullopt;
}

std::vector<IpSets::Element> elements_of(const FamilyRules& rules, Set set) {
  std::vector<IpSets::Element> result;
  if (set == Set::near) {
    result.assign(rules.near.begin(), rules.near.end());
  } else {
    for (const auto& [service, masquerade] : rules.services)
      if (set_of(masquerade) == set) result.emplace_back(service);
  }
  std::ranges::sort(result);
  return result;
}

}  // namespace

std::vector<std::string> own_iptables_lines(const std::string& suffix, std::string_view saved) {
  const std::array chains{pre_chain(suffix), post_chain(suffix)};
  std::vector<std::string> lines;
  while (!saved.empty()) {
    auto line = saved.substr(0, saved.find('\n'));
    saved.remove_prefix(std::min(saved.size(), line.size() + 1));
    // ":CHAIN - [12:345]"
    if (line.starts_with(':')) line = line.substr(0, line.find(" ["));
    const bool own = std::ranges::any_of(chains, [&](const std::string& chain) {
      const auto at = line.find(chain);
      if (at == std::string_view::npos || at == 0) return false;
      // Another instance's chain may begin with this one's name.
      const auto end = at + chain.size();
      return end == line.size() || line[end] == ' ';
    });
    if (own) lines.emplace_back(line);
  }
  return lines;
}

namespace {

// "-A PREROUTING ... -j VIPKEEPER-PRE" as "-D ...".
std::string without_jumps(const std::string& suffix, const std::vector<std::string>& present) {
  std::string text;
  for (const std::string& line : present) {
    const bool is_rule = line.starts_with("-A ");
    const bool inside =
        line.starts_with("-A " + pre_chain(suffix) + " ") || line.starts_with("-A " + post_chain(suffix) + " ");
    if (is_rule && !inside) text += "-D" + line.substr(2) + "\n";
  }
  return text;
}

}  // namespace

std::string iptables_scaffold(const std::string& suffix, Family family, const std::vector<std::string>& present) {
  const auto set = [&](Set which) { return set_name(suffix, family, which); };
  const std::string pre = pre_chain(suffix), post = post_chain(suffix);
  std::string text = fmt::format("*nat\n:{} - [0:0]\n:{} - [0:0]\n", pre, post);
  text += without_jumps(suffix, present);
  text +=
      fmt::format("-A {} -m set --match-set {} dst,dst -j MARK --set-xmark 0x1000/0x1000\n", pre, set(Set::automatic));
  text += fmt::format("-A {} -m set --match-set {} dst,dst -j MARK --set-xmark 0x3000/0x3000\n", pre, set(Set::always));
  text += fmt::format(
      "-A {0} -m mark --mark 0x1000/0x3000 -m set --match-set {1} dst -m set ! --match-set {1} src -j RETURN\n", post,
      set(Set::near));
  text += fmt::format("-A {} -j MASQUERADE\n", post);
  // Behind whoever sends a connection elsewhere before IPVS, before whoever masquerades on other grounds.
  for (const std::string_view hook : {"PREROUTING", "OUTPUT"})
    text += fmt::format("-A {} -m comment --comment \"vipkeeper: connections to virtual IPs\" -j {}\n", hook, pre);
  text += fmt::format(
      "-I POSTROUTING -m mark --mark 0x1000/0x1000 -m ipvs --ipvs --vdir ORIGINAL -m comment --comment \"vipkeeper: "
      "replies come back through this node\" -j {}\nCOMMIT\n",
      post);
  return text;
}

std::string iptables_removal(const std::string& suffix, const std::vector<std::string>& present) {
  std::string text = "*nat\n" + without_jumps(suffix, present);
  for (const std::string& chain : {pre_chain(suffix), post_chain(suffix)})
    if (std::ranges::find(present, fmt::format(":{} -", chain)) != present.end())
      text += fmt::format("-F {0}\n-X {0}\n", chain);
  return text + "COMMIT\n";
}

Result<IpSets*> IptablesRules::sets() {
  if (!sets_) {
    auto opened = IpSets::open();
    if (!opened) return std::unexpected(opened.error());
    sets_.emplace(std::move(*opened));
  }
  return &*sets_;
}

Result<std::vector<std::string>> IptablesRules::own_lines(Family family) {
  auto saved = run_command({program(family, "save"), "-t", "nat"}, {}, patience);
  if (!saved) return std::unexpected(with_remedy(saved.error()));
  return own_iptables_lines(suffix_, *saved);
}

IptablesRules::Signature IptablesRules::signature(Family family) {
  Signature result{table_numbers(family), {}};
  for (const Set set : all_sets) {
    const auto sets = this->sets();
    const auto size = sets ? (*sets)->size(set_name(suffix_, family, set)) : std::nullopt;
    result.sets[static_cast<std::size_t>(set)] = size ? *size : std::nullopt;
  }
  return result;
}

Result<FamilyRules> IptablesRules::read(Family family) {
  FamilyRules rules;
  bool any = false, all = true;
  // Before the rules are read: what changes meanwhile is seen the next time.
  Signature now = signature(family);
  if (has_nat_table(family)) {
    auto lines = own_lines(family);
    if (!lines) return std::unexpected(lines.error());
    any = !lines->empty();
    const auto made = installed_.find(family);
    all = made != installed_.end() && made->second == *lines;
  } else {
    all = false;
  }
  const auto sets = this->sets();
  if (!sets) return std::unexpected(sets.error());
  for (const Set set : all_sets) {
    auto elements = (*sets)->list(set_name(suffix_, family, set));
    // A kernel without sets has none of ours.
    if (!elements && elements.error().code != ErrorCode::unsupported) return std::unexpected(elements.error());
    if (!elements || !*elements) {
      all = false;
      continue;
    }
    any = true;
    for (const IpSets::Element& element : **elements) {
      if (const auto* service = std::get_if<return_path::ServicePort>(&element))
        rules.services[*service] = set == Set::always ? Masquerade::always : Masquerade::automatic;
      else
        rules.near.insert(std::get<IpPrefix>(element));
    }
  }
  rules.scaffold = all ? Scaffold::right : any ? Scaffold::other : Scaffold::absent;
  if (all) signatures_[family] = std::move(now);
  return rules;
}

Result<void> IptablesRules::fill_sets(Family family, const FamilyRules& rules) {
  const auto sets = this->sets();
  if (!sets) return std::unexpected(sets.error());
  for (const Set set : all_sets) {
    const std::string name = set_name(suffix_, family, set);
    const auto type = set == Set::near ? IpSets::Type::networks : IpSets::Type::services;
    if (auto made = (*sets)->make(name, type, family); !made) return made;
    auto there = (*sets)->list(name);
    if (!there) return std::unexpected(there.error());
    std::vector<IpSets::Element> actual = there->value_or(std::vector<IpSets::Element>{});
    std::ranges::sort(actual);
    const auto wanted = elements_of(rules, set);
    std::vector<IpSets::Change> changes;
    for (const auto& element : wanted)
      if (!std::ranges::binary_search(actual, element)) changes.push_back({name, element, true});
    for (const auto& element : actual)
      if (!std::ranges::binary_search(wanted, element)) changes.push_back({name, element, false});
    if (auto changed = (*sets)->apply(changes); !changed) return changed;
  }
  return {};
}

Result<void> IptablesRules::install(Family family) {
  auto present = own_lines(family);
  if (!present) return std::unexpected(present.error());
  auto done = run_command({program(family, "restore"), "--noflush", "-w", "15"},
                          iptables_scaffold(suffix_, family, *present), patience);
  if (!done) return std::unexpected(with_remedy(done.error()));
  // How this kernel and this iptables tell of it is what it is compared with from now on.
  auto lines = own_lines(family);
  if (!lines) return std::unexpected(lines.error());
  installed_[family] = std::move(*lines);
  return {};
}

Result<void> IptablesRules::remove(Family family) {
  signatures_.erase(family);
  installed_.erase(family);
  if (has_nat_table(family)) {
    auto present = own_lines(family);
    if (!present) return std::unexpected(present.error());
    if (!present->empty()) {
      auto done = run_command({program(family, "restore"), "--noflush", "-w", "15"},
                              iptables_removal(suffix_, *present), patience);
      if (!done) return std::unexpected(with_remedy(done.error()));
    }
  }
  const auto sets = this->sets();
  if (!sets) return std::unexpected(sets.error());
  for (const Set set : all_sets)
    if (auto gone = (*sets)->destroy(set_name(suffix_, family, set));
        !gone && gone.error().code != ErrorCode::unsupported)
      return gone;
  return {};
}

Result<void> IptablesRules::apply(Family family, std::span<const Operation> operations) {
  if (operations.empty()) return {};
  if (std::holds_alternative<return_path::RemoveScaffold>(operations.front())) return remove(family);
  if (std::holds_alternative<return_path::MakeScaffold>(operations.front())) {
    if (auto filled = fill_sets(family, return_path::apply({}, operations)); !filled) return filled;
    if (auto installed = install(family); !installed) return installed;
  } else {
    const auto sets = this->sets();
    if (!sets) return std::unexpected(sets.error());
    std::vector<IpSets::Change> changes;
    for (const Operation& operation : operations)
      if (auto change = change_of(suffix_, family, operation)) changes.push_back(std::move(*change));
    if (auto changed = (*sets)->apply(changes); !changed) return changed;
  }
  signatures_[family] = signature(family);
  return {};
}

bool IptablesRules::disturbed() {
  return std::ranges::any_of(signatures_, [this](const auto& entry) { return signature(entry.first) != entry.second; });
}

}  // namespace vipkeeper::net
