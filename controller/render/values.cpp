#include "controller/render/values.h"

#include <fmt/format.h>

#include "controller/plan/options.h"

namespace vipkeeper::render {

namespace {

// A value in quotes (a command with arguments) may hold blanks.
bool pasteable(std::string_view value) {
  const bool in_quotes = value.size() > 2 && value.front() == '"' && value.back() == '"';
  return in_quotes ? plan::is_pasteable(value.substr(1, value.size() - 2), true) : plan::is_pasteable(value, false);
}

}  // namespace

void Values::text(const std::string& name, std::string value) {
  if (wrong_.empty() && !pasteable(value)) {
    wrong_ = fmt::format("the value of {} cannot stand in a configuration: [{}]", name, value);
  }
  data_.set(name, std::move(value));
}

void Values::optional_text(const std::string& name, std::string value) {
  if (value.empty()) {
    flag(name, false);
  } else {
    text(name, std::move(value));
  }
}

void Values::list(const std::string& name, std::vector<Values> elements) {
  kainjow::mustache::data list{kainjow::mustache::data::type::list};
  for (auto& element : elements) {
    if (wrong_.empty()) wrong_ = element.wrong_;
    list.push_back(std::move(element.data_));
  }
  data_.set(name, std::move(list));
}

}  // namespace vipkeeper::render
