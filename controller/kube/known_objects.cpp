#include "controller/kube/known_objects.h"

#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/json_member.h"
#include "controller/objects/json.h"

namespace vipkeeper::kube {

using nlohmann::json;
using objects::ObjectKey;

std::optional<Item> KnownObjects::read(const json& object) const {
  if (!object.is_object()) return std::nullopt;
  const std::string kind = text_member(object, "kind");
  if (!kind.empty() && kind != objects::to_string(kind_)) return std::nullopt;
  const json& metadata = member(object, "metadata");
  Item item;
  item.key = {kind_, text_member(metadata, "namespace"), text_member(metadata, "name")};
  if (item.key.name.empty()) return std::nullopt;
  const std::hash<std::string> hash;
  item.identity = {hash(text_member(metadata, "uid")), hash(text_member(metadata, "resourceVersion"))};
  const auto known = known_.find(item.key);
  if (known != known_.end() && known->second == item.identity) return item;
  auto parsed = objects::parse_object(kind_, object);
  if (parsed) {
    item.object = std::make_shared<const objects::Object>(std::move(parsed->object));
  } else {
    item.problem = std::move(parsed.error().message);
  }
  return item;
}

void KnownObjects::adopt(Item item, Changes& changes) {
  const auto [known, is_new] = known_.try_emplace(item.key, item.identity);
  if (!is_new) {
    if (known->second == item.identity) return;
    // Deleted and made anew while we were not looking.
    if (known->second.uid != item.identity.uid) changes.push_back({item.key, nullptr});
    known->second = item.identity;
  }
  set_problem(item.key, std::move(item.problem));
  if (item.object) changes.push_back({std::move(item.key), std::move(item.object)});
}

void KnownObjects::remove(const ObjectKey& key, Changes& changes) {
  if (known_.erase(key) == 0) return;
  changes.push_back({key, nullptr});
  set_problem(key, {});
}

void KnownObjects::replace(Items items, Changes& changes) {
  std::vector<ObjectKey> gone;
  for (const auto& [key, identity] : known_) {
    if (!items.contains(key)) gone.push_back(key);
  }
  while (!items.empty()) adopt(std::move(items.extract(items.begin()).mapped()), changes);
  for (const ObjectKey& key : gone) remove(key, changes);
}

void KnownObjects::add_problems(std::vector<objects::SourceProblem>& problems) const {
  for (const auto& [key, problem] : problems_) problems.push_back({true, key.to_string(), problem});
}

void KnownObjects::set_problem(const ObjectKey& key, std::string problem) {
  if (problem.empty()) {
    if (problems_.erase(key) > 0) ++problem_generation_;
    return;
  }
  problems_[key] = std::move(problem);
  ++problem_generation_;
}

}  // namespace vipkeeper::kube
