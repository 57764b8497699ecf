#include "engine/return_path/rules.h"

#include <fmt/format.h>

namespace vipkeeper::return_path {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

}  // namespace

std::string_view to_string(Masquerade masquerade) { return masquerade == Masquerade::always ? "always" : "auto"; }

std::string ServicePort::to_string() const {
  return address.is_v4() ? fmt::format("{} {}:{}", vipkeeper::to_string(protocol), address.to_string(), port)
                         : fmt::format("{} [{}]:{}", vipkeeper::to_string(protocol), address.to_string(), port);
}

std::string to_string(Family family, const Operation& operation) {
  return std::visit(
      Overloaded{
          [&](const MakeScaffold&) {
            return fmt::format("make the {} masquerading rules", vipkeeper::to_string(family));
          },
          [&](const RemoveScaffold&) {
            return fmt::format("remove the {} masquerading rules", vipkeeper::to_string(family));
          },
          [](const AddService& add) {
            return fmt::format("masquerade {} for {}", to_string(add.masquerade), add.service.to_string());
          },
          [](const DeleteService& remove) {
            return fmt::format("end masquerade {} for {}", to_string(remove.masquerade), remove.service.to_string());
          },
          [](const AddNear& add) { return fmt::format("do not masquerade towards {}", add.network.to_string()); },
          [](const DeleteNear& remove) { return fmt::format("masquerade towards {}", remove.network.to_string()); },
      },
      operation);
}

namespace {

const Masquerade* find(const FamilyRules& rules, const ServicePort& service) {
  const auto found = rules.services.find(service);
  return found == rules.services.end() ? nullptr : &found->second;
}

// One element may not be in two sets at a time, nor one network inside another: what goes, goes first.
std::vector<Operation> plan_elements(const FamilyRules& actual, const FamilyRules& desired,
                                     const std::set<ServicePort>* changed) {
  std::vector<Operation> gone, come;
  const auto compare = [&](const ServicePort& service) {
    const Masquerade* is = find(actual, service);
    const Masquerade* shall = find(desired, service);
    const bool same = is != nullptr && shall != nullptr && *is == *shall;
    if (is != nullptr && !same) gone.emplace_back(DeleteService{service, *is});
    if (shall != nullptr && !same) come.emplace_back(AddService{service, *shall});
  };
  if (changed != nullptr) {
    for (const ServicePort& service : *changed) compare(service);
  } else {
    for (const auto& [service, masquerade] : actual.services) compare(service);
    for (const auto& [service, masquerade] : desired.services)
      if (find(actual, service) == nullptr) compare(service);
  }
  for (const IpPrefix& network : actual.near)
    if (!desired.near.contains(network)) gone.emplace_back(DeleteNear{network});
  for (const IpPrefix& network : desired.near)
    if (!actual.near.contains(network)) come.emplace_back(AddNear{network});
  gone.insert(gone.end(), come.begin(), come.end());
  return gone;
}

}  // namespace

std::vector<Operation> plan(const FamilyRules& actual, const FamilyRules& desired,
                            const std::set<ServicePort>& changed) {
  return plan_elements(actual, desired, &changed);
}

std::vector<Operation> plan(const FamilyRules& actual, const FamilyRules& desired) {
  if (desired.scaffold == Scaffold::absent) {
    if (actual.scaffold == Scaffold::absent) return {};
    return {RemoveScaffold{}};
  }
  if (actual.scaffold == Scaffold::right) return plan_elements(actual, desired, nullptr);
  std::vector<Operation> result{MakeScaffold{}};
  const auto elements = plan_elements({}, desired, nullptr);
  result.insert(result.end(), elements.begin(), elements.end());
  return result;
}

void apply_to(FamilyRules& rules, std::span<const Operation> operations) {
  for (const Operation& operation : operations) {
    std::visit(Overloaded{
                   [&](const MakeScaffold&) { rules = FamilyRules{Scaffold::right, {}, {}}; },
                   [&](const RemoveScaffold&) { rules = {}; },
                   [&](const AddService& add) { rules.services.insert_or_assign(add.service, add.masquerade); },
                   [&](const DeleteService& remove) { rules.services.erase(remove.service); },
                   [&](const AddNear& add) { rules.near.insert(add.network); },
                   [&](const DeleteNear& remove) { rules.near.erase(remove.network); },
               },
               operation);
  }
}

FamilyRules apply(FamilyRules rules, std::span<const Operation> operations) {
  apply_to(rules, operations);
  return rules;
}

}  // namespace vipkeeper::return_path
