#include "controller/manifests/object_store.h"

#include <algorithm>
#include <set>
#include <utility>

namespace vipkeeper::manifests {

using objects::Object;
using objects::ObjectChange;
using objects::ObjectKey;

std::shared_ptr<const Object> ObjectStore::standing(const ObjectKey& key) const {
  const auto found = holders_.find(key);
  return found == holders_.end() ? nullptr : found->second.back().object;
}

void ObjectStore::put(const std::string& file, const ManifestObject& entry) {
  Holders& holders = holders_[entry.key];
  const auto at = std::ranges::lower_bound(holders, file, {}, &Holder::file);
  if (at != holders.end() && at->file == file) {
    // What did not change keeps its pointer, so that readers can compare cheaply.
    if (*at->object != *entry.object) at->object = entry.object;
    return;
  }
  holders.insert(at, Holder{file, entry.object});
  if (holders.size() > 1) {
    shadowed_[entry.key] = holders.size();
    ++shadow_generation_;
  }
}

void ObjectStore::take(const std::string& file, const ObjectKey& key) {
  const auto found = holders_.find(key);
  Holders& holders = found->second;
  std::erase_if(holders, [&](const Holder& holder) { return holder.file == file; });
  if (!holders.empty()) ++shadow_generation_;
  if (holders.size() == 1) shadowed_.erase(key);
  if (holders.empty()) holders_.erase(found);
}

std::vector<ObjectChange> ObjectStore::replace(const std::string& file, std::vector<ManifestObject> objects) {
  std::vector<ObjectKey>& held = files_[file];
  std::set<ObjectKey> touched(held.begin(), held.end());
  for (const ManifestObject& entry : objects) touched.insert(entry.key);

  std::map<ObjectKey, std::shared_ptr<const Object>> before;
  for (const ObjectKey& key : touched) before.emplace(key, standing(key));

  std::vector<ObjectKey> now;
  now.reserve(objects.size());
  for (const ManifestObject& entry : objects) {
    put(file, entry);
    now.push_back(entry.key);
  }
  std::ranges::sort(now);
  for (const ObjectKey& key : held) {
    if (!std::ranges::binary_search(now, key)) take(file, key);
  }
  held = std::move(now);
  if (held.empty()) files_.erase(file);

  std::vector<ObjectChange> changes;
  for (const auto& [key, old] : before) {
    auto current = standing(key);
    const bool same = current == old || (current && old && *current == *old);
    if (!same) changes.push_back({key, std::move(current)});
  }
  return changes;
}

std::vector<ManifestObject> ObjectStore::objects_of(const std::string& file) const {
  std::vector<ManifestObject> objects;
  const auto found = files_.find(file);
  if (found == files_.end()) return objects;
  for (const ObjectKey& key : found->second) {
    const Holders& holders = holders_.at(key);
    objects.push_back({key, std::ranges::lower_bound(holders, file, {}, &Holder::file)->object});
  }
  return objects;
}

std::vector<ObjectStore::Shadowed> ObjectStore::shadowed() const {
  std::vector<Shadowed> all;
  for (const auto& [key, count] : shadowed_) {
    Shadowed one{key, {}};
    for (const Holder& holder : holders_.at(key)) one.files.push_back(holder.file);
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace vipkeeper::manifests
