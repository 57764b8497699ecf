#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/forwarding.h"
#include "controller/plan/judge.h"
#include "controller/plan/nodes.h"
#include "controller/plan/plan.h"
#include "controller/plan/snapshot.h"

namespace vipkeeper::plan {

// What a plan needs of the past. A process that starts with another's memory (and the same objects) makes the same
// plan.
struct Memory {
  std::map<std::string, std::string> good_texts;  // by the ConfigMap's key: the last text that was good
  std::optional<NodePlace> place;                 // the last known
};

// The work done so far, for /metrics and for tests that count it.
struct PlanCounters {
  std::uint64_t entries_judged = 0;
  std::uint64_t forwardings_planned = 0;  // of one entry each
  std::uint64_t virtual_routers_planned = 0;
};

// The whole plan from the whole snapshot; who claims what is made out anew, in a copy.
VipPlan build_plan(Snapshot snapshot, const std::vector<HostInterface>& interfaces, const Memory& memory);

// Keeps a plan up to date: after every step, plan() equals build_plan() of everything taken in so far, at the cost of
// what the step touched. One thread.
class Planner {
 public:
  explicit Planner(PlanOptions options, Memory memory = {});

  // Takes object changes in. Until `synced` was once true nothing is planned (an absent object may just not have come
  // yet), and the result is empty and not ready.
  PlanChange apply(std::span<const objects::ObjectChange> changes, bool synced);
  // This host's interfaces and their addresses, all of them. Without a call: none, which is enough where the options
  // give the interface and the address.
  PlanChange set_interfaces(std::vector<HostInterface> interfaces);

  [[nodiscard]] const VipPlan& plan() const { return plan_; }
  [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] const std::vector<HostInterface>& interfaces() const { return interfaces_; }
  [[nodiscard]] const Memory& memory() const { return memory_; }
  [[nodiscard]] const PlanCounters& counters() const { return counters_; }

 private:
  struct EntryState {
    std::string text;
    ReadEntry read;
    Judgement judgement;
    Forwarding forwarding;
  };
  // One step's bookkeeping.
  struct Step {
    std::set<std::string> judge;     // entries to judge again
    std::set<std::string> forward;   // entries whose forwarding is to be planned again
    std::set<std::string> problems;  // entries whose problems may differ
    std::set<std::string> services;  // whose status may have to say something else
    std::set<VirtualServiceKey> keys;
    bool addresses_changed = false;
    PlanChange change;
  };

  PlanChange replan(Touched touched, bool subnets_changed, std::set<std::string> to_judge = {});
  void find_dirty(Touched& touched, bool subnets_changed, Step& step);
  void judge_dirty(Touched& touched, Step& step);
  void add_users(const Touched& touched, Step& step) const;
  [[nodiscard]] std::set<std::string> entries_with_changed_interface(const std::vector<HostInterface>& were) const;
  void diff_config_map(Touched& touched, Step& step);
  void judge(const std::string& key, Touched& touched, Step& step);
  void put_in_force(const std::string& key, EntryState& state, Judgement judgement, Step& step);
  void forget(const std::string& key, Touched& touched, Step& step);
  void forward(const std::string& key, Step& step);
  void claim(const std::string& key, EntryState& state, Forwarding now, Step& step);
  void hold(const std::string& key, const Entry* was, const Entry* now, Step& step);
  void plan_node(bool nodes_touched, Step& step);
  void emit_virtual_services(Step& step);
  void emit_load_balancers(const Touched& touched, Step& step);
  void emit_problems(Step& step);
  void set_problems(const std::string& object, std::vector<Problem> problems, Step& step);
  [[nodiscard]] std::vector<Problem> problems_of(const std::string& key) const;

  Snapshot snapshot_;
  std::vector<HostInterface> interfaces_;
  Memory memory_;
  bool synced_ = false;
  bool started_ = false;
  bool knows_entries_ = false;  // the ConfigMap was there once
  Touched unsynced_;
  std::map<std::string, EntryState> entries_;
  std::unordered_map<std::string, std::set<std::string>> entries_of_service_;
  std::map<IpAddress, std::map<std::string, VipAddress>> held_;  // by entry: the first by key counts
  std::map<VirtualServiceKey, std::map<std::string, std::shared_ptr<const VirtualServicePlan>>> claims_;  // likewise
  std::map<std::string, std::set<std::string>> entries_of_interface_;  // those that an entry in force names
  Problems node_problems_;
  VipPlan plan_;
  PlanCounters counters_;
};

}  // namespace vipkeeper::plan
