// The plan of one node, kept up to date change by change.
//
// Owns: the snapshot of objects, what each ConfigMap entry came to, and the plan itself. Runs on the controller's one
// loop, has no timer and does no I/O; its only memory of the past is Memory, and it is there because a bad entry leaves
// its last good form in force and a node that is lost sight of goes on.
//
// The way of a change. Snapshot::apply says what it touched, in the plan's terms; from there three levels, each
// reached only when the one before it says so:
//
//   judge     an entry's form and addresses        when its text changed, or somebody took or left an address
//   forward   the virtual services of an entry     when its Services, their endpoints or its form changed
//   node      own place, the one Virtual Router    when Nodes, the own pod, interfaces or held addresses changed
//
// An endpoint's change touches one Service, so it costs the forwarding of the entries that name that Service and
// nothing else: no other entry is looked at, neither the Virtual Router nor anybody's problems are made again. The
// counters say so, and a test with 5,000 Services holds them to it.
//
// Invariants. plan_ equals build_plan(snapshot_, interfaces_, memory_) after each step; build_plan shares the rules for
// one entry and one node, and none of the bookkeeping here. Values in plan_ that did not change keep their pointers.
// Several entries may claim an address or a port: all claims are kept, and the first by key counts, so that the
// winner's going brings the next one in without planning anything again.
//
// Not synced, not ready. Before every kind was listed once, an object that is absent may just not have come: nothing is
// planned. While the own node is not known the plan is not ready: entries are judged and reported, nothing is handed
// out. Once known, a node that is lost sight of goes on in its last place (by unicast without a Virtual Router, since
// the others have lost sight of it as well).

#include "controller/plan/planner.h"

#include <array>
#include <cstddef>
#include <utility>

#include "controller/plan/address_rules.h"
#include "controller/plan/load_balancer.h"
#include "controller/plan/wording.h"

namespace vipkeeper::plan {

namespace {

// Takes `member` out of the set at `key`, and the set with its last member.
template <class Map, class Key>
void erase_member(Map& map, const Key& key, const std::string& member) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  found->second.erase(member);
  if (found->second.empty()) map.erase(found);
}

// The lowest address of a range.
IpAddress first_of(const IpPrefix& range) {
  std::array<std::byte, 16> bytes{};
  const auto given = range.address.bytes();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const unsigned bits = range.length >= 8 * (i + 1) ? 8
                          : range.length > 8 * i      ? range.length - 8U * static_cast<unsigned>(i)
                                                      : 0;
    bytes[i] = given[i] & static_cast<std::byte>(0xff00U >> bits);
  }
  return *IpAddress::from_bytes(std::span(bytes).first(given.size()));
}

}  // namespace

Planner::Planner(PlanOptions options, Memory memory) : snapshot_(std::move(options)), memory_(std::move(memory)) {}

PlanChange Planner::apply(std::span<const objects::ObjectChange> changes, bool synced) {
  Touched touched = std::exchange(unsynced_, {});
  for (const auto& change : changes) snapshot_.apply(change, touched);
  synced_ = synced_ || synced;
  if (synced_) return replan(std::move(touched), false);
  unsynced_ = std::move(touched);
  return {};
}

PlanChange Planner::set_interfaces(std::vector<HostInterface> interfaces) {
  // A held VIP is an address of an interface too, so the list changes with every transition; only subnets matter, and
  // where the own address is.
  const auto were = std::exchange(interfaces_, std::move(interfaces));
  if (!synced_) return {};
  Touched touched;
  const auto own = snapshot_.own_address();
  touched.nodes = own && carriers_of(*own, were) != carriers_of(*own, interfaces_);
  return replan(std::move(touched), subnets_of(were) != subnets_of(interfaces_), entries_with_changed_interface(were));
}

// Interfaces come and go with every container; those that no entry names do not matter.
std::set<std::string> Planner::entries_with_changed_interface(const std::vector<HostInterface>& were) const {
  std::set<std::string> result;
  for (const auto& [name, keys] : entries_of_interface_) {
    const bool same = has_interface(name, were) == has_interface(name, interfaces_) &&
                      is_missing(name, were) == is_missing(name, interfaces_);
    if (!same) result.insert(keys.begin(), keys.end());
  }
  return result;
}

PlanChange Planner::replan(Touched touched, bool subnets_changed, std::set<std::string> to_judge) {
  Step step;
  const bool first = !std::exchange(started_, true);
  step.addresses_changed = !to_judge.empty();
  step.judge = std::move(to_judge);
  find_dirty(touched, subnets_changed, step);
  judge_dirty(touched, step);
  for (const auto& key : std::exchange(step.forward, {})) forward(key, step);
  if (touched.config_map || first) {
    set_problems(config_map_object(snapshot_.options()), config_map_problems(snapshot_), step);
  }
  plan_node(first || touched.nodes || subnets_changed, step);
  emit_virtual_services(step);
  emit_load_balancers(touched, step);
  emit_problems(step);
  step.change.ready = plan_.ready;
  return std::move(step.change);
}

// What an entry claims may make another address of a Node the one that counts, and so concern other entries; so may the
// last good form that an entry has left behind.
void Planner::judge_dirty(Touched& touched, Step& step) {
  while (!step.judge.empty()) {
    for (const auto& key : std::exchange(step.judge, {})) judge(key, touched, step);
    add_users(touched, step);
    touched.addresses.clear();
  }
  // Which endpoints are here is another question now.
  if (touched.own_node) {
    for (const auto& [key, state] : entries_) step.forward.insert(key);
  }
}

// The entries that claim an address whose user may be another.
void Planner::add_users(const Touched& touched, Step& step) const {
  for (const auto& address : touched.addresses) {
    const auto found = snapshot_.claims().find(address);
    if (found != snapshot_.claims().end()) step.judge.insert(found->second.begin(), found->second.end());
  }
}

void Planner::find_dirty(Touched& touched, bool subnets_changed, Step& step) {
  if (touched.config_map) diff_config_map(touched, step);
  if (subnets_changed) {
    for (const auto& [key, state] : entries_) step.judge.insert(key);
  }
  add_users(touched, step);
  touched.addresses.clear();
  const auto& claims = snapshot_.claims();
  for (const auto& range : touched.ranges) {
    for (auto at = claims.lower_bound(first_of(range)); at != claims.end(); ++at) {
      if (!range.contains(at->first)) break;
      step.judge.insert(at->second.begin(), at->second.end());
    }
  }
  for (const auto& service : touched.services) {
    const auto found = entries_of_service_.find(service);
    if (found != entries_of_service_.end()) step.forward.insert(found->second.begin(), found->second.end());
  }
}

void Planner::diff_config_map(Touched& touched, Step& step) {
  if (snapshot_.config_map() == nullptr) return;
  const auto& data = snapshot_.config_map()->data;
  // What an earlier run remembers of entries that are there no more.
  if (!knows_entries_) std::erase_if(memory_.good_texts, [&](const auto& good) { return !data.contains(good.first); });
  for (const auto& key : std::exchange(touched.entries, {})) {
    const auto found = data.find(key);
    if (found == data.end()) {
      forget(key, touched, step);
      continue;
    }
    const auto [at, added] = entries_.try_emplace(key);
    if (!added && at->second.text == found->second) continue;
    auto& state = at->second;
    state.text = found->second;
    const auto good = memory_.good_texts.find(key);
    state.read = read_entry(key, state.text, good == memory_.good_texts.end() ? nullptr : &good->second);
    snapshot_.claim(key, state.read.claims(), touched);
    step.judge.insert(key);
  }
}

void Planner::judge(const std::string& key, Touched& touched, Step& step) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  auto& state = found->second;
  ++counters_.entries_judged;
  auto judgement = judge_entry(state.read, snapshot_, interfaces_);
  if (judgement.good && state.read.last_good != state.read.entry) {
    memory_.good_texts.insert_or_assign(key, state.text);
    state.read.last_good = state.read.entry;
    snapshot_.claim(key, state.read.claims(), touched);
  }
  put_in_force(key, state, std::move(judgement), step);
}

void Planner::put_in_force(const std::string& key, EntryState& state, Judgement judgement, Step& step) {
  const auto was = std::exchange(state.judgement, std::move(judgement));
  const auto& now = state.judgement;
  step.problems.insert(key);
  if (was.in_force != nullptr && now.in_force != nullptr && *was.in_force == *now.in_force) return;
  hold(key, was.in_force.get(), now.in_force.get(), step);
  if (was.in_force != nullptr) {
    for (const auto& service : was.in_force->services) {
      erase_member(entries_of_service_, service.to_string(), key);
      step.services.insert(service.to_string());
    }
    erase_member(entries_of_interface_, was.in_force->interface, key);
  }
  if (now.in_force != nullptr) {
    for (const auto& service : now.in_force->services) {
      entries_of_service_[service.to_string()].insert(key);
      step.services.insert(service.to_string());
    }
    if (!now.in_force->interface.empty()) entries_of_interface_[now.in_force->interface].insert(key);
  }
  step.forward.insert(key);
}

void Planner::forget(const std::string& key, Touched& touched, Step& step) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  auto& state = found->second;
  memory_.good_texts.erase(key);
  snapshot_.claim(key, {}, touched);
  put_in_force(key, state, {}, step);
  claim(key, state, {}, step);
  set_problems(entry_object(snapshot_.options(), key), {}, step);
  entries_.erase(found);
}

void Planner::forward(const std::string& key, Step& step) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  const auto& in_force = found->second.judgement.in_force;
  ++counters_.forwardings_planned;
  claim(key, found->second, in_force == nullptr ? Forwarding{} : plan_forwarding(*in_force, snapshot_), step);
}

void Planner::claim(const std::string& key, EntryState& state, Forwarding now, Step& step) {
  const auto was = std::exchange(state.forwarding, std::move(now));
  step.problems.insert(key);
  const auto note = [&](const VirtualServiceKey& service_key) {
    step.keys.insert(service_key);
    // Who else claims it may win or lose by this.
    if (const auto others = claims_.find(service_key); others != claims_.end()) {
      for (const auto& [other, service] : others->second) step.problems.insert(other);
    }
  };
  for (const auto& [service_key, service] : was.virtual_services) {
    if (state.forwarding.virtual_services.contains(service_key)) continue;
    note(service_key);
    erase_member(claims_, service_key, key);
  }
  for (const auto& [service_key, service] : state.forwarding.virtual_services) {
    note(service_key);
    claims_[service_key].insert_or_assign(key, service);
  }
}

void Planner::hold(const std::string& key, const Entry* was, const Entry* now, Step& step) {
  const auto were = held_addresses(was);
  const auto are = held_addresses(now);
  if (were == are) return;
  step.addresses_changed = true;
  // Who else holds an address may be told of it, or no longer.
  const auto note_others = [&](const IpAddress& address) {
    const auto found = held_.find(address);
    if (found == held_.end()) return;
    for (const auto& [other, held] : found->second) step.problems.insert(other);
  };
  for (const auto& address : were) {
    erase_member(held_, address.prefix.address, key);
    note_others(address.prefix.address);
  }
  for (const auto& address : are) {
    held_[address.prefix.address].insert_or_assign(key, address);
    note_others(address.prefix.address);
  }
}

void Planner::plan_node(bool nodes_touched, Step& step) {
  if (!nodes_touched && !step.addresses_changed) return;
  if (nodes_touched) {
    auto node = plan_place(snapshot_, interfaces_, memory_.place);
    for (const auto& [object, problems] : node_problems_) {
      if (!node.problems.contains(object)) set_problems(object, {}, step);
    }
    for (const auto& [object, problems] : node.problems) set_problems(object, problems, step);
    node_problems_ = std::move(node.problems);
    if (node.place) memory_.place = std::move(node.place);
  }
  if (!memory_.place) return;
  if (!plan_.ready) {
    plan_.ready = true;
    for (const auto& [service_key, services] : claims_) step.keys.insert(service_key);
  }
  std::vector<VipAddress> addresses;
  for (const auto& [address, by_entry] : held_) addresses.push_back(by_entry.begin()->second);
  ++counters_.virtual_routers_planned;
  auto vrrp = build_vrrp(*memory_.place, addresses, snapshot_.options(), interfaces_);
  const bool equal = vrrp == plan_.vrrp || (vrrp != nullptr && plan_.vrrp != nullptr && *vrrp == *plan_.vrrp);
  if (equal) return;
  plan_.vrrp = std::move(vrrp);
  step.change.vrrp_changed = true;
  step.change.vrrp = plan_.vrrp;
}

void Planner::emit_virtual_services(Step& step) {
  if (!plan_.ready) return;
  for (const auto& key : step.keys) {
    const auto claims = claims_.find(key);
    const auto shown = plan_.virtual_services.find(key);
    if (claims == claims_.end()) {
      if (shown == plan_.virtual_services.end()) continue;
      plan_.virtual_services.erase(shown);
      step.change.virtual_services.emplace(key, nullptr);
      continue;
    }
    const auto& winner = claims->second.begin()->second;
    if (shown != plan_.virtual_services.end()) {
      if (*shown->second == *winner) continue;
      shown->second = winner;
    } else {
      plan_.virtual_services.emplace(key, winner);
    }
    step.change.virtual_services.emplace(key, winner);
  }
}

void Planner::emit_load_balancers(const Touched& touched, Step& step) {
  // Before the ConfigMap was seen nothing says that no entry names a Service.
  if (snapshot_.config_map() == nullptr) return;
  step.services.insert(touched.services.begin(), touched.services.end());
  if (!std::exchange(knows_entries_, true)) {
    for (const auto& [name, service] : snapshot_.services()) step.services.insert(name);
  }
  for (const auto& name : step.services) {
    const auto* service = snapshot_.service(name);
    std::set<IpAddress> addresses;
    if (const auto keys = entries_of_service_.find(name); keys != entries_of_service_.end()) {
      for (const auto& key : keys->second) {
        for (const auto& held : held_addresses(entries_.at(key).judgement.in_force.get()))
          addresses.insert(held.prefix.address);
      }
    }
    const auto now = plan_load_balancer(service, addresses);
    const auto known = plan_.load_balancers.find(name);
    if (now) {
      if (known != plan_.load_balancers.end() && known->second == *now) continue;
      plan_.load_balancers.insert_or_assign(name, *now);
    } else {
      if (known == plan_.load_balancers.end()) continue;
      plan_.load_balancers.erase(known);
    }
    step.change.load_balancers.emplace(name, now);
  }
}

void Planner::emit_problems(Step& step) {
  for (const auto& key : std::exchange(step.problems, {})) {
    if (!entries_.contains(key)) continue;
    set_problems(entry_object(snapshot_.options(), key), problems_of(key), step);
  }
}

std::vector<Problem> Planner::problems_of(const std::string& key) const {
  const auto& state = entries_.at(key);
  Remarks clashes;
  for (const auto& [service_key, service] : state.forwarding.virtual_services) {
    const auto& winner = claims_.at(service_key).begin()->first;
    if (winner != key) add_clash(clashes, service_key, winner);
  }
  for (const auto& address : held_addresses(state.judgement.in_force.get())) {
    const auto& [holder, held] = *held_.at(address.prefix.address).begin();
    auto remark = holder == key ? std::nullopt : shared_address_remark(address, held, holder);
    if (remark) clashes.add(remark->severity, std::move(remark->message));
  }
  return entry_problems(entry_object(snapshot_.options(), key), state.judgement, state.forwarding, clashes);
}

void Planner::set_problems(const std::string& object, std::vector<Problem> problems, Step& step) {
  const auto found = plan_.problems.find(object);
  if (problems.empty()) {
    if (found == plan_.problems.end()) return;
    plan_.problems.erase(found);
  } else if (found == plan_.problems.end()) {
    plan_.problems.emplace(object, problems);
  } else {
    if (found->second == problems) return;
    found->second = problems;
  }
  step.change.problems.insert_or_assign(object, std::move(problems));
}

}  // namespace vipkeeper::plan
