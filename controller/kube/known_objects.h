#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/objects/source.h"

namespace vipkeeper::kube {

// What tells whether an object is still the same. Hashes, because of their size.
struct Identity {
  std::size_t uid = 0;
  std::size_t resource_version = 0;
  bool operator==(const Identity&) const = default;
};

// An object as it was read; `object` is null if it is as known, or if `problem` says why it cannot be read.
struct Item {
  objects::ObjectKey key;
  Identity identity;
  std::shared_ptr<const objects::Object> object;
  std::string problem;
};

// A list while it comes in; it means nothing before it is whole.
using Items = std::map<objects::ObjectKey, Item>;

// Which objects of one kind have been told, so that lists tell differences only. A key and two hashes an object.
// An object that cannot be read keeps the form that was told last; it is a problem until it can, or is gone.
class KnownObjects {
 public:
  using Changes = std::vector<objects::ObjectChange>;

  explicit KnownObjects(objects::Kind kind) : kind_(kind) {}

  // nullopt: no object of this kind.
  [[nodiscard]] std::optional<Item> read(const nlohmann::json& object) const;
  void adopt(Item item, Changes& changes);
  void remove(const objects::ObjectKey& key, Changes& changes);
  // `items` are all there are: what is known and not among them is gone.
  void replace(Items items, Changes& changes);
  [[nodiscard]] std::size_t size() const { return known_.size(); }

  void add_problems(std::vector<objects::SourceProblem>& problems) const;
  // Counts up whenever add_problems() may say something else.
  [[nodiscard]] std::uint64_t problem_generation() const { return problem_generation_; }

 private:
  void set_problem(const objects::ObjectKey& key, std::string problem);

  objects::Kind kind_;
  std::map<objects::ObjectKey, Identity> known_;
  std::map<objects::ObjectKey, std::string> problems_;
  std::uint64_t problem_generation_ = 0;
};

}  // namespace vipkeeper::kube
