#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/manifests/manifest.h"
#include "controller/objects/objects.h"

namespace vipkeeper::manifests {

// Which file holds which object, and what a change of one file changes for the reader. Of an object that several files
// hold, the one whose file name sorts last (bytes) stands; the others lie under it and come to light when it goes.
// Pure; the work of a call grows with the files named in it, not with all files.
class ObjectStore {
 public:
  // The file's objects are now these (unique keys). Returns what that changes, which is nothing for what is equal.
  std::vector<objects::ObjectChange> replace(const std::string& file, std::vector<ManifestObject> objects);
  std::vector<objects::ObjectChange> remove(const std::string& file) { return replace(file, {}); }

  // What the file holds now, sorted by key.
  [[nodiscard]] std::vector<ManifestObject> objects_of(const std::string& file) const;

  struct Shadowed {
    objects::ObjectKey key;
    std::vector<std::string> files;  // sorted; the last one stands
  };
  [[nodiscard]] std::vector<Shadowed> shadowed() const;
  // Counts up whenever shadowed() may have changed.
  [[nodiscard]] std::size_t shadow_generation() const { return shadow_generation_; }

 private:
  struct Holder {
    std::string file;
    std::shared_ptr<const objects::Object> object;
  };
  using Holders = std::vector<Holder>;  // sorted by file, never empty

  void put(const std::string& file, const ManifestObject& entry);
  void take(const std::string& file, const objects::ObjectKey& key);
  [[nodiscard]] std::shared_ptr<const objects::Object> standing(const objects::ObjectKey& key) const;

  std::map<objects::ObjectKey, Holders> holders_;
  std::map<std::string, std::vector<objects::ObjectKey>, std::less<>> files_;
  std::map<objects::ObjectKey, std::size_t> shadowed_;
  std::size_t shadow_generation_ = 0;
};

}  // namespace vipkeeper::manifests
