#include "controller/render/values.h"

#include <fmt/format.h>

#include <algorithm>

namespace vipkeeper::render {

namespace {

// keepalived's language: white space ends a word, braces a block, ! and # begin a comment, quotes and backslashes
// quote, $ and ~ expand. A value in quotes (a command with arguments) may hold blanks.
bool pasteable(std::string_view value) {
  const bool in_quotes = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  if (in_quotes) value = value.substr(1, value.size() - 2);
  return !value.empty() && std::ranges::all_of(value, [&](char c) {
    if (c == ' ') return in_quotes;
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f &&
           std::string_view("{}\"'\\!#$~").find(c) == std::string_view::npos;
  });
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
