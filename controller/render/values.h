#pragma once

#include <kainjow/mustache.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace vipkeeper::render {

// What a template is filled with. Values are pasted into a configuration as they are, so none may hold anything that
// ends a word, a line, a block or a comment there: the first that does is kept as the failure.
class Values {
 public:
  void text(const std::string& name, std::string value);
  // A value that may be absent: empty switches its section off.
  void optional_text(const std::string& name, std::string value);
  void flag(const std::string& name, bool value) { data_.set(name, kainjow::mustache::data(value)); }
  void list(const std::string& name, std::vector<Values> elements);

  [[nodiscard]] const kainjow::mustache::data& data() const { return data_; }
  // What was wrong with a value, if any was.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  kainjow::mustache::data data_{kainjow::mustache::data::type::object};
  std::string wrong_;
};

}  // namespace vipkeeper::render
