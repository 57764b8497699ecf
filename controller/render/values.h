#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vipkeeper::render {

// What a template is filled with: texts, switches and lists by name, each name once; a name outlives the values (it is
// written in the code). Values are pasted into a configuration as they are, so none may hold anything that ends a word,
// a line, a block or a comment there: the first that does is kept as the failure.
class Values {
 public:
  struct Value;

  void text(std::string_view name, std::string value);
  // A value that may be absent: empty switches its section off.
  void optional_text(std::string_view name, std::string value);
  void flag(std::string_view name, bool value);
  void list(std::string_view name, std::vector<Values> elements);

  // Null: there is none of that name.
  [[nodiscard]] const Value* find(std::string_view name) const;
  // What was wrong with a value, if any was.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  std::vector<Value> values_;
  std::string wrong_;
};

struct Values::Value {
  enum class Type : std::uint8_t { text, flag, list };
  std::string_view name;
  Type type = Type::text;
  bool on = false;           // of a switch
  std::string text;          // of a text
  std::vector<Values> list;  // of a list

  // Whether its section is shown.
  [[nodiscard]] bool holds() const { return type == Type::text || (type == Type::flag ? on : !list.empty()); }
};

}  // namespace vipkeeper::render
