#include <algorithm>

#include "controller/plan/load_balancer.h"
#include "controller/plan/planner.h"
#include "controller/plan/wording.h"

namespace vipkeeper::plan {

namespace {

// One entry, planned on its own.
struct Planned {
  Judgement judgement;
  Forwarding forwarding;
};

// The entry that an address is held for.
struct Holder {
  std::string key;
  VipAddress address;
};

// All entries claim what they claim before any is judged.
std::map<std::string, ReadEntry> read_entries(Snapshot& snapshot, const Memory& memory) {
  std::map<std::string, ReadEntry> entries;
  Touched touched;
  const auto before = snapshot.claims();
  for (const auto& [address, keys] : before) {
    for (const auto& key : keys) snapshot.claim(key, {}, touched);
  }
  if (snapshot.config_map() == nullptr) return entries;
  for (const auto& [key, text] : snapshot.config_map()->data) {
    const auto good = memory.good_texts.find(key);
    auto read = read_entry(key, text, good == memory.good_texts.end() ? nullptr : &good->second);
    snapshot.claim(key, read.claims(), touched);
    entries.emplace(key, std::move(read));
  }
  return entries;
}

std::map<std::string, Planned> plan_entries(const std::map<std::string, ReadEntry>& read, const Snapshot& snapshot,
                                            const std::vector<HostInterface>& interfaces) {
  std::map<std::string, Planned> entries;
  for (const auto& [key, entry] : read) {
    Planned planned;
    planned.judgement = judge_entry(entry, snapshot, interfaces);
    if (planned.judgement.in_force != nullptr) {
      planned.forwarding = plan_forwarding(*planned.judgement.in_force, snapshot);
    }
    entries.emplace(key, std::move(planned));
  }
  return entries;
}

LoadBalancers plan_load_balancers(const Snapshot& snapshot, const std::map<std::string, Planned>& entries) {
  LoadBalancers result;
  if (snapshot.config_map() == nullptr) return result;
  std::map<std::string, std::set<IpAddress>> addresses;
  for (const auto& [key, planned] : entries) {
    if (planned.judgement.in_force == nullptr) continue;
    for (const auto& service : planned.judgement.in_force->services) {
      for (const auto& held : held_addresses(planned.judgement.in_force.get()))
        addresses[service.to_string()].insert(held.prefix.address);
    }
  }
  for (const auto& [name, service] : snapshot.services()) {
    if (auto planned = plan_load_balancer(service.get(), addresses[name])) result.emplace(name, std::move(*planned));
  }
  return result;
}

}  // namespace

VipPlan build_plan(Snapshot snapshot, const std::vector<HostInterface>& interfaces, const Memory& memory) {
  VipPlan plan;
  const auto read = read_entries(snapshot, memory);
  const auto entries = plan_entries(read, snapshot, interfaces);
  std::map<IpAddress, Holder> held;
  std::map<VirtualServiceKey, std::string> winners;
  // The map is in the order of keys, so the first to name an address or a port is the one that counts.
  for (const auto& [key, planned] : entries) {
    Remarks clashes;
    for (const auto& [service_key, service] : planned.forwarding.virtual_services) {
      const auto [winner, won] = winners.emplace(service_key, key);
      if (won) {
        plan.virtual_services.emplace(service_key, service);
      } else {
        add_clash(clashes, service_key, winner->second);
      }
    }
    for (const auto& address : held_addresses(planned.judgement.in_force.get())) {
      const auto [holder, first] = held.emplace(address.prefix.address, Holder{key, address});
      if (first) continue;
      auto remark = shared_address_remark(address, holder->second.address, holder->second.key);
      if (remark) clashes.add(remark->severity, std::move(remark->message));
    }
    const auto object = entry_object(snapshot.options(), key);
    auto problems = entry_problems(object, planned.judgement, planned.forwarding, clashes);
    if (!problems.empty()) plan.problems.emplace(object, std::move(problems));
  }
  if (auto problems = config_map_problems(snapshot); !problems.empty()) {
    plan.problems.emplace(config_map_object(snapshot.options()), std::move(problems));
  }
  plan.load_balancers = plan_load_balancers(snapshot, entries);
  auto node = plan_place(snapshot, interfaces, memory.place);
  plan.problems.merge(node.problems);
  const auto& place = node.place ? node.place : memory.place;
  plan.ready = place.has_value();
  if (!plan.ready) {
    plan.virtual_services.clear();
    return plan;
  }
  std::vector<VipAddress> addresses;
  for (const auto& [address, holder] : held) addresses.push_back(holder.address);
  plan.vrrp = build_vrrp(*place, addresses, snapshot.options(), interfaces);
  return plan;
}

}  // namespace vipkeeper::plan
