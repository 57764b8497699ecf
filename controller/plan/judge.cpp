#include "controller/plan/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/plan/address_rules.h"
#include "controller/plan/user_text.h"

namespace vipkeeper::plan {

namespace {

bool is_held(const IpPrefix& prefix) { return prefix.address.is_v4(); }

// Why a text cannot be taken, up to a number that a person reads.
class Refusals {
 public:
  void add(const IpAddress& address, const std::string& why) {
    if (why.empty()) return;
    if (list_.size() < Remarks::most)
      list_.push_back(fmt::format("{} {}: use another address", address.to_string(), why));
  }
  [[nodiscard]] bool any() const { return !list_.empty(); }
  [[nodiscard]] const std::vector<std::string>& list() const { return list_; }

 private:
  std::vector<std::string> list_;
};

// By rules that no object changes.
Refusals refuse_always(const Entry& entry, const PlanOptions& options, const std::vector<HostInterface>& interfaces) {
  Refusals result;
  for (const auto& prefix : entry.addresses) {
    auto why = refuse_address(prefix.address, options, interfaces);
    result.add(prefix.address, why.empty() ? refuse_prefix(prefix) : why);
  }
  return result;
}

Refusals refuse_used(const Entry& entry, const Snapshot& snapshot) {
  Refusals result;
  for (const auto& prefix : entry.addresses) result.add(prefix.address, refuse_used_address(prefix.address, snapshot));
  return result;
}

// Of many addresses the first are enough to know which are meant.
std::string shortened(const std::vector<IpAddress>& addresses) {
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t i = 0; i < addresses.size() && i < shown; ++i) {
    text += (i == 0 ? "" : ", ") + addresses[i].to_string();
  }
  return addresses.size() <= shown ? text : fmt::format("{} and {} more", text, addresses.size() - shown);
}

// A kubelet tells its host's addresses, and a VIP that the host holds is one.
void remark_on_reporters(const Entry& entry, const Snapshot& snapshot, Remarks& remarks) {
  for (const auto& prefix : entry.addresses) {
    const auto* reporter = snapshot.reporter_of(prefix.address);
    if (reporter == nullptr) continue;
    const auto& node = *snapshot.nodes().at(*reporter);
    const auto known = snapshot.known_address(node, prefix.address.family());
    remarks.add(Severity::warning,
                fmt::format("{0} stands among the addresses of Node {1}, as a VIP that its host holds may: the Node is "
                            "known by {2}; start its kubelet with --node-ip={2}, or use another address if this is "
                            "the Node's own",
                            prefix.address.to_string(), *reporter, known ? known->to_string() : "none"));
  }
}

// What of an entry in force is not as it says.
void remark_on(const Entry& entry, const Snapshot& snapshot, const std::vector<HostInterface>& interfaces,
               Remarks& remarks) {
  for (const auto& warning : entry.warnings) remarks.add(Severity::warning, warning);
  std::vector<IpAddress> left_out;
  for (const auto& prefix : entry.addresses) {
    if (!is_held(prefix)) left_out.push_back(prefix.address);
  }
  if (!left_out.empty()) {
    remarks.add(Severity::error, fmt::format("IPv6 addresses are not available yet: {} left out, the rest of the "
                                             "entry is served",
                                             shortened(left_out)));
  }
  if (is_missing(entry.interface, interfaces)) {
    remarks.add(Severity::error, fmt::format("interface {} does not exist on this host: the entry's addresses "
                                             "cannot be held here; check the name, or make the interface",
                                             entry.interface));
  }
  remark_on_reporters(entry, snapshot, remarks);
}

}  // namespace

ReadEntry read_entry(const std::string& key, const std::string& text, const std::string* last_good) {
  ReadEntry result;
  result.key = IpAddress::parse(trimmed(key));
  auto parsed = parse_entry(key, text);
  if (parsed) {
    result.entry = std::make_shared<const Entry>(std::move(*parsed));
  } else {
    result.wrong = std::move(parsed.error());
  }
  if (last_good == nullptr) return result;
  if (*last_good == text) {
    result.last_good = result.entry;
  } else if (auto good = parse_entry(key, *last_good)) {
    result.last_good = std::make_shared<const Entry>(std::move(*good));
  }
  return result;
}

std::vector<IpAddress> ReadEntry::claims() const {
  std::vector<IpAddress> result;
  if (entry == nullptr && key) result.push_back(*key);
  for (const auto* named : {&entry, &last_good}) {
    if (*named == nullptr) continue;
    for (const auto& prefix : (*named)->addresses) result.push_back(prefix.address);
  }
  return result;
}

Judgement judge_entry(const ReadEntry& read, const Snapshot& snapshot, const std::vector<HostInterface>& interfaces) {
  Judgement judgement;
  std::vector<std::string> wrong = read.wrong;
  if (read.entry != nullptr) {
    auto refusals = refuse_always(*read.entry, snapshot.options(), interfaces);
    if (!refusals.any()) refusals = refuse_used(*read.entry, snapshot);
    wrong = refusals.list();
  }
  if (wrong.empty()) {
    judgement.good = true;
    judgement.in_force = read.entry;
  } else if (read.last_good != nullptr && !refuse_always(*read.last_good, snapshot.options(), interfaces).any()) {
    judgement.in_force = read.last_good;
  }
  for (const auto& why : wrong) {
    judgement.remarks.add(Severity::error,
                          why + (judgement.in_force != nullptr ? "; the entry's last good form stays in force"
                                                               : "; the entry is left out"));
  }
  if (judgement.in_force != nullptr) remark_on(*judgement.in_force, snapshot, interfaces, judgement.remarks);
  return judgement;
}

std::vector<VipAddress> held_addresses(const Entry* entry) {
  std::vector<VipAddress> result;
  if (entry == nullptr) return result;
  for (const auto& prefix : entry->addresses) {
    if (is_held(prefix)) result.push_back({.prefix = prefix, .interface = entry->interface});
  }
  return result;
}

bool is_missing(const std::string& interface, const std::vector<HostInterface>& interfaces) {
  return !interface.empty() && !interfaces.empty() && !has_interface(interface, interfaces);
}

}  // namespace vipkeeper::plan
