#include "controller/render/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controller/plan/options.h"

namespace vipkeeper::render {

namespace {

// A value in quotes (a command with arguments) may hold blanks.
bool pasteable(std::string_view value) {
  const bool in_quotes = value.size() > 2 && value.front() == '"' && value.back() == '"';
  return in_quotes ? plan::is_pasteable(value.substr(1, value.size() - 2), true) : plan::is_pasteable(value, false);
}

}  // namespace

void Values::text(std::string_view name, std::string value) {
  if (wrong_.empty() && !pasteable(value)) {
    wrong_ = fmt::format("the value of {} cannot stand in a configuration: [{}]", name, value);
  }
  values_.push_back({.name = name, .type = Value::Type::text, .text = std::move(value), .list = {}});
}

void Values::optional_text(std::string_view name, std::string value) {
  if (value.empty()) {
    flag(name, false);
  } else {
    text(name, std::move(value));
  }
}

void Values::flag(std::string_view name, bool value) {
  values_.push_back({.name = name, .type = Value::Type::flag, .on = value, .text = {}, .list = {}});
}

void Values::list(std::string_view name, std::vector<Values> elements) {
  for (const auto& element : elements) {
    if (wrong_.empty()) wrong_ = element.wrong_;
  }
  values_.push_back({.name = name, .type = Value::Type::list, .text = {}, .list = std::move(elements)});
}

const Values::Value* Values::find(std::string_view name) const {
  const auto found = std::ranges::find(values_, name, &Value::name);
  return found == values_.end() ? nullptr : &*found;
}

}  // namespace vipkeeper::render
