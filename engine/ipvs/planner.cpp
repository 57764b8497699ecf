#include "engine/ipvs/planner.h"

#include <iterator>
#include <ranges>
#include <string>
#include <utility>

namespace vipkeeper::ipvs {
namespace {

// The mh scheduler fills its whole lookup table anew for each command on a destination (net/netfilter/ipvs/ip_vs_mh.c),
// some 65 times the cost of the command itself; bound once, at the end, it does so once.
bool rebuilds(const std::string& scheduler) { return scheduler == "mh"; }

// ip_vs takes this name since Linux 4.2: a service that schedules nothing, which one without destinations does anyway.
constexpr const char* no_scheduler = "none";

void plan_new(std::vector<Operation>& plan, const ServiceKey& key, const ServiceEntry& desired) {
  const bool late = rebuilds(desired.service.scheduler) && desired.destinations.size() > 1;
  Service first = desired.service;
  if (late) first.scheduler = no_scheduler;
  plan.emplace_back(AddService{key, first});
  for (const auto& [destination_key, destination] : desired.destinations)
    plan.emplace_back(AddDestination{key, destination_key, destination});
  if (late) plan.emplace_back(SetService{key, desired.service});
}

void plan_destinations(std::vector<Operation>& plan, const ServiceKey& key, const ServiceEntry& actual,
                       const ServiceEntry& desired) {
  for (const auto& [destination_key, destination] : desired.destinations)
    if (!actual.destinations.contains(destination_key))
      plan.emplace_back(AddDestination{key, destination_key, destination});
  for (const auto& [destination_key, destination] : desired.destinations) {
    const auto found = actual.destinations.find(destination_key);
    if (found != actual.destinations.end() && found->second != destination)
      plan.emplace_back(SetDestination{key, destination_key, destination});
  }
  for (const auto& [destination_key, destination] : std::views::reverse(actual.destinations))
    if (!desired.destinations.contains(destination_key)) plan.emplace_back(DeleteDestination{key, destination_key});
}

void plan_change(std::vector<Operation>& plan, const ServiceKey& key, const ServiceEntry& actual,
                 const ServiceEntry& desired) {
  const bool settings_differ = actual.service != desired.service;
  // Away from mh first, to mh last; for the others it does not matter.
  const bool late = rebuilds(desired.service.scheduler) && !rebuilds(actual.service.scheduler);
  if (settings_differ && !late) plan.emplace_back(SetService{key, desired.service});
  plan_destinations(plan, key, actual, desired);
  if (settings_differ && late) plan.emplace_back(SetService{key, desired.service});
}

struct Applier {
  Table& table;

  void operator()(const AddService& o) const {
    table.try_emplace(o.key, ServiceEntry{o.service, {}});  // taken already: the kernel says EEXIST
  }
  void operator()(const SetService& o) const {
    if (const auto found = table.find(o.key); found != table.end()) found->second.service = o.service;
  }
  void operator()(const DeleteService& o) const { table.erase(o.key); }
  void operator()(const AddDestination& o) const {
    if (const auto found = table.find(o.service); found != table.end())
      found->second.destinations.try_emplace(o.key, o.destination);
  }
  void operator()(const SetDestination& o) const {
    const auto found = table.find(o.service);
    if (found == table.end()) return;
    const auto destination = found->second.destinations.find(o.key);
    if (destination != found->second.destinations.end()) destination->second = o.destination;
  }
  void operator()(const DeleteDestination& o) const {
    if (const auto found = table.find(o.service); found != table.end()) found->second.destinations.erase(o.key);
  }
};

}  // namespace

std::vector<Operation> plan(const ServiceKey& key, const ServiceEntry* actual, const ServiceEntry* desired) {
  std::vector<Operation> result;
  if (actual == nullptr && desired != nullptr) plan_new(result, key, *desired);
  if (actual != nullptr && desired == nullptr) result.emplace_back(DeleteService{key});
  if (actual != nullptr && desired != nullptr) plan_change(result, key, *actual, *desired);
  return result;
}

std::vector<Operation> plan(const Table& actual, const Table& desired) {
  std::vector<Operation> result;
  for (const auto& [key, entry] : desired) {
    const auto found = actual.find(key);
    auto operations = plan(key, found == actual.end() ? nullptr : &found->second, &entry);
    std::move(operations.begin(), operations.end(), std::back_inserter(result));
  }
  for (const auto& [key, entry] : std::views::reverse(actual))
    if (!desired.contains(key)) result.emplace_back(DeleteService{key});
  return result;
}

void apply_to(Table& table, const Operation& operation) { std::visit(Applier{table}, operation); }

Table apply(Table table, const std::vector<Operation>& operations) {
  for (const Operation& operation : operations) apply_to(table, operation);
  return table;
}

}  // namespace vipkeeper::ipvs
