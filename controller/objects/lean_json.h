#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "controller/objects/objects.h"

namespace vipkeeper::objects {

// Reads the JSON text of objects and keeps only what parse_object reads of them; the rest (managedFields, a Pod's
// containers, a Node's images) never becomes part of a document. Holds the memory that reading the largest text so far
// took, so that the next one takes none.
class LeanReader {
 public:
  LeanReader();
  ~LeanReader();
  LeanReader(const LeanReader&) = delete;
  LeanReader& operator=(const LeanReader&) = delete;

  // One object. parse_object of it gives what parse_object of the whole document gives. nullopt: no JSON, or nested
  // deeper than any object of the plan.
  std::optional<nlohmann::json> read(Kind kind, std::string_view text);

  // The same for one event of a watch, {"type": ..., "object": ...}. A Status in the object is kept whole.
  std::optional<nlohmann::json> read_event(Kind kind, std::string_view text);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace vipkeeper::objects
