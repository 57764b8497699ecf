#include "controller/objects/json_field.h"

#include <fmt/format.h>

namespace vipkeeper::objects {

namespace {

using Type = nlohmann::json::value_t;

std::string_view words(Type type) {
  switch (type) {
    case Type::object:
      return "a mapping";
    case Type::array:
      return "a list";
    case Type::string:
      return "text";
    case Type::boolean:
      return "true or false";
    case Type::number_integer:
    case Type::number_unsigned:
    case Type::number_float:
      return "a number";
    case Type::null:
      return "nothing";
    default:
      return "binary";
  }
}

// A value as a message may show it: short, on one line.
std::string shown(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

JsonField JsonField::member(std::string_view name) const {
  if (!is(Type::object)) return {nullptr, *this, name, 0};
  const auto found = value_->find(name);
  const bool there = found != value_->end() && !found->is_null();
  return {there ? &*found : nullptr, *this, name, 0};
}

std::string JsonField::text(std::string_view when_absent) const {
  if (!is(Type::string)) return std::string(when_absent);
  return value_->get_ref<const std::string&>();
}

std::string JsonField::required_text() const {
  if (!present()) {
    fail("missing");
    return {};
  }
  std::string result = text();
  if (result.empty()) fail("must not be empty");
  return result;
}

bool JsonField::flag(bool when_absent) const { return is(Type::boolean) ? value_->get<bool>() : when_absent; }

std::optional<std::int64_t> JsonField::number(std::int64_t low, std::int64_t high) const {
  if (!present()) return std::nullopt;
  // A parser of JSON gives non-negative numbers as unsigned, other makers of documents as signed.
  if (!value_->is_number_integer()) {
    fail(fmt::format("must be a whole number, is {}", shown(*value_)));
    return std::nullopt;
  }
  const bool huge = value_->is_number_unsigned() && value_->get<std::uint64_t>() > INT64_MAX;
  const auto result = huge ? INT64_MAX : value_->get<std::int64_t>();
  if (result < low || result > high) {
    fail(fmt::format("must be {} to {}, is {}", low, high, shown(*value_)));
    return std::nullopt;
  }
  return result;
}

std::optional<IpAddress> JsonField::address() const {
  if (!is(Type::string)) return std::nullopt;
  auto result = IpAddress::parse(value_->get_ref<const std::string&>());
  if (!result) fail(fmt::format("must be an IP address, is {}", shown(*value_)));
  return result;
}

std::map<std::string, std::string> JsonField::text_map() const {
  std::map<std::string, std::string> result;
  if (!is(Type::object)) return result;
  for (const auto& [name, value] : value_->items()) {
    const JsonField field(value.is_null() ? nullptr : &value, *this, name, 0);
    result.emplace(name, field.text());
  }
  return result;
}

void JsonField::fail(std::string_view why) const {
  if (!failure_) failure_ = path() + ": " + std::string(why);
}

bool JsonField::is(Type type) const {
  if (!present()) return false;
  if (value_->type() == type) return true;
  fail(fmt::format("must be {}, is {} ({})", words(type), words(value_->type()), shown(*value_)));
  return false;
}

std::string JsonField::path() const {
  if (parent_ == nullptr) return "the object";
  if (name_.empty()) return fmt::format("{}[{}]", parent_->path(), index_);
  // A name that is itself full of dots (a ConfigMap's address) would not read as one step of the path.
  const bool plain = name_.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/") ==
                     std::string_view::npos;
  std::string parent = parent_->parent_ == nullptr ? std::string() : parent_->path();
  if (!plain) return fmt::format("{}[\"{}\"]", parent, name_);
  return parent.empty() ? std::string(name_) : parent + "." + std::string(name_);
}

}  // namespace vipkeeper::objects
