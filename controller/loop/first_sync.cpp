#include "controller/loop/first_sync.h"

#include <utility>

namespace vipkeeper::loop {

using objects::ObjectChange;

void FirstSync::hold(std::vector<ObjectChange> changes) {
  for (auto& change : changes) {
    if (change.object == nullptr) {
      told_.erase(change.key);
    } else {
      told_.insert_or_assign(std::move(change.key), std::move(change.object));
    }
  }
}

void FirstSync::in_force(const std::vector<ObjectChange>& saved) {
  for (const auto& change : saved) in_force_.insert(change.key);
}

std::vector<ObjectChange> FirstSync::finish() {
  std::vector<ObjectChange> result;
  for (const auto& key : std::exchange(in_force_, {})) {
    if (!told_.contains(key)) result.push_back({key, nullptr});
  }
  for (auto& [key, object] : std::exchange(told_, {})) result.push_back({key, std::move(object)});
  return result;
}

std::vector<ObjectChange> as_own(std::vector<ObjectChange> saved, const std::string& pod_namespace,
                                 const std::string& pod_name) {
  if (pod_name.empty()) return saved;
  for (auto& change : saved) {
    if (change.key.kind == objects::Kind::pod) change.key = {objects::Kind::pod, pod_namespace, pod_name};
  }
  return saved;
}

}  // namespace vipkeeper::loop
