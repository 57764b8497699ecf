#include "controller/plan/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/plan/address_rules.h"

namespace vipkeeper::plan {

namespace {

// Why the entry cannot be taken, by rules that no object changes; empty: it can.
std::string refuse_always(const Entry& entry, const PlanOptions& options,
                          const std::vector<HostInterface>& interfaces) {
  for (const auto& prefix : entry.addresses) {
    const auto why = refuse_address(prefix.address, options, interfaces);
    if (!why.empty()) return fmt::format("{} {}: use another address", prefix.address.to_string(), why);
  }
  return {};
}

std::string refuse_used(const Entry& entry, const Snapshot& snapshot) {
  for (const auto& prefix : entry.addresses) {
    const auto why = refuse_used_address(prefix.address, snapshot);
    if (!why.empty()) return fmt::format("{} {}: use another address", prefix.address.to_string(), why);
  }
  return {};
}

std::shared_ptr<const Entry> usable_last_good(const std::string& key, const std::string& text,
                                              const PlanOptions& options,
                                              const std::vector<HostInterface>& interfaces) {
  auto entry = parse_entry(key, text);
  if (!entry || !refuse_always(*entry, options, interfaces).empty()) return nullptr;
  return std::make_shared<const Entry>(std::move(*entry));
}

void name_addresses(const Entry& entry, std::vector<IpAddress>& named) {
  for (const auto& prefix : entry.addresses) {
    if (std::ranges::find(named, prefix.address) == named.end()) named.push_back(prefix.address);
  }
}

}  // namespace

Judgement judge_entry(const std::string& key, const std::string& text, const std::string* last_good,
                      const Snapshot& snapshot, const std::vector<HostInterface>& interfaces) {
  Judgement judgement;
  auto parsed = parse_entry(key, text);
  std::string why;
  if (parsed) {
    name_addresses(*parsed, judgement.named);
    why = refuse_always(*parsed, snapshot.options(), interfaces);
    if (why.empty()) why = refuse_used(*parsed, snapshot);
  } else {
    why = parsed.error().message;
  }
  if (why.empty()) {
    judgement.good = true;
    judgement.in_force = std::make_shared<const Entry>(std::move(*parsed));
  } else {
    if (last_good != nullptr) {
      judgement.in_force = usable_last_good(key, *last_good, snapshot.options(), interfaces);
    }
    judgement.remarks.push_back(
        {Severity::error, why + (judgement.in_force != nullptr ? "; the entry's last good form stays in force"
                                                               : "; the entry is left out")});
  }
  if (judgement.in_force == nullptr) return judgement;
  name_addresses(*judgement.in_force, judgement.named);
  for (const auto& warning : judgement.in_force->warnings) judgement.remarks.push_back({Severity::warning, warning});
  return judgement;
}

}  // namespace vipkeeper::plan
