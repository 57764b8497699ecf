#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace vipkeeper::manifests {

// A document that can be read but not used: a key that comes twice, a mapping as a key, aliases that explode. Caught in
// document.cpp, where the position is known.
struct BuildError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Builds one JSON value from the events of a parser, without the parser's own tree in between. Calls must nest as the
// document does; key() comes before each member of an object.
class ValueBuilder {
 public:
  void add(nlohmann::json value);
  void start(nlohmann::json::value_t type);
  // Ends the innermost array or object and returns it; it stays valid until the next call.
  const nlohmann::json& end();
  // `merge`: this is YAML's "<<", whose mapping is folded in when the object ends.
  void key(std::string name, bool merge = false);

  [[nodiscard]] bool in_object() const { return !frames_.empty() && frames_.back().value->is_object(); }
  [[nodiscard]] bool wants_key() const { return in_object() && !frames_.back().key.has_value(); }
  [[nodiscard]] bool empty() const { return !started_; }
  // The finished document; the builder is empty afterwards.
  nlohmann::json take();

 private:
  struct Frame {
    nlohmann::json* value;
    std::optional<std::string> key;
    std::optional<std::string> merge_key;
  };

  nlohmann::json& place(nlohmann::json value);
  static void merge(nlohmann::json& into, const nlohmann::json& from);

  nlohmann::json root_;
  bool started_ = false;
  std::vector<Frame> frames_;
};

}  // namespace vipkeeper::manifests
