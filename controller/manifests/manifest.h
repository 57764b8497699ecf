#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/objects/objects.h"

namespace vipkeeper::manifests {

struct ManifestObject {
  objects::ObjectKey key;
  std::shared_ptr<const objects::Object> object;
};

struct ManifestProblem {
  bool error = true;
  std::size_t line = 1;
  std::string message;
  bool operator==(const ManifestProblem&) const = default;
};

// What one file holds. Keys are unique and sorted; of an object written twice in the file the last one stands, with a
// warning.
struct Manifest {
  std::vector<ManifestObject> objects;
  std::vector<ManifestProblem> problems;
  // The text is no YAML (JSON): `objects` is empty and says nothing about what the file means.
  bool unreadable = false;
  // Some document was left out because of an error: what the file held before and does not hold now may be meant by it.
  bool incomplete = false;
};

// Reads the text of a manifest: several documents, kind List and the lists of one kind (ServiceList), no namespace
// means default. Kinds that the plan does not read are passed over. `as_json`: by the file's name; YAML
// otherwise.
Manifest parse_manifest(std::string_view text, bool as_json);

}  // namespace vipkeeper::manifests
