#include "controller/plan/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/plan/address_rules.h"

namespace vipkeeper::plan {

namespace {

bool is_held(const IpPrefix& prefix) { return prefix.address.is_v4(); }

// Why the entry cannot be taken, by rules that no object changes: one line an address.
std::vector<std::string> refuse_always(const Entry& entry, const PlanOptions& options,
                                       const std::vector<HostInterface>& interfaces) {
  std::vector<std::string> result;
  for (const auto& prefix : entry.addresses) {
    auto why = refuse_address(prefix.address, options, interfaces);
    if (why.empty()) why = refuse_prefix(prefix);
    if (!why.empty()) result.push_back(fmt::format("{} {}: use another address", prefix.address.to_string(), why));
  }
  return result;
}

std::vector<std::string> refuse_used(const Entry& entry, const Snapshot& snapshot) {
  std::vector<std::string> result;
  for (const auto& prefix : entry.addresses) {
    const auto why = refuse_used_address(prefix.address, snapshot);
    if (!why.empty()) result.push_back(fmt::format("{} {}: use another address", prefix.address.to_string(), why));
  }
  return result;
}

std::shared_ptr<const Entry> usable_last_good(const std::string& key, const std::string& text,
                                              const PlanOptions& options,
                                              const std::vector<HostInterface>& interfaces) {
  auto entry = parse_entry(key, text);
  if (!entry || !refuse_always(*entry, options, interfaces).empty()) return nullptr;
  return std::make_shared<const Entry>(std::move(*entry));
}

void name_addresses(const Entry& entry, std::vector<IpAddress>& named) {
  for (const auto& prefix : entry.addresses) named.push_back(prefix.address);
  std::ranges::sort(named);
  const auto rest = std::ranges::unique(named);
  named.erase(rest.begin(), rest.end());
}

// What of an entry in force is not as it says.
void remark_on(const Entry& entry, const std::vector<HostInterface>& interfaces, std::vector<Remark>& remarks) {
  for (const auto& warning : entry.warnings) remarks.push_back({Severity::warning, warning});
  std::string left_out;
  for (const auto& prefix : entry.addresses) {
    if (!is_held(prefix)) left_out += (left_out.empty() ? "" : ", ") + prefix.address.to_string();
  }
  if (!left_out.empty()) {
    remarks.push_back(
        {Severity::error, fmt::format("IPv6 addresses are not available yet: {} left out, the rest of the "
                                      "entry is served",
                                      left_out)});
  }
  if (is_missing(entry.interface, interfaces)) {
    remarks.push_back({Severity::error, fmt::format("interface {} does not exist on this host: the entry's addresses "
                                                    "cannot be held here; check the name, or make the interface",
                                                    entry.interface)});
  }
}

}  // namespace

Judgement judge_entry(const std::string& key, const std::string& text, const std::string* last_good,
                      const Snapshot& snapshot, const std::vector<HostInterface>& interfaces) {
  Judgement judgement;
  auto parsed = parse_entry(key, text);
  std::vector<std::string> wrong;
  if (parsed) {
    name_addresses(*parsed, judgement.named);
    wrong = refuse_always(*parsed, snapshot.options(), interfaces);
    if (wrong.empty()) wrong = refuse_used(*parsed, snapshot);
  } else {
    wrong = parsed.error();
  }
  if (wrong.empty()) {
    judgement.good = true;
    judgement.in_force = std::make_shared<const Entry>(std::move(*parsed));
  } else if (last_good != nullptr) {
    judgement.in_force = usable_last_good(key, *last_good, snapshot.options(), interfaces);
  }
  for (const auto& why : wrong) {
    judgement.remarks.push_back(
        {Severity::error, why + (judgement.in_force != nullptr ? "; the entry's last good form stays in force"
                                                               : "; the entry is left out")});
  }
  if (judgement.in_force == nullptr) return judgement;
  name_addresses(*judgement.in_force, judgement.named);
  remark_on(*judgement.in_force, interfaces, judgement.remarks);
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
