#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/ip_address.h"

namespace vipkeeper::objects {

// One field of a JSON document while it is read, with the way that led to it. The first wrong field of the document is
// kept and every read after it gives its default, so a parser reads straight on and asks for the failure once, at the
// end (as ByteReader does). Absent and null are the same, as they are for the API server. The path is only put into
// words when something is wrong. A field refers to its parent: it must not outlive it.
class JsonField {
 public:
  // The whole document; `failure` must outlive every field.
  JsonField(const nlohmann::json& document, std::optional<std::string>& failure)
      : value_(&document), failure_(failure) {}

  JsonField(const JsonField&) = delete;
  JsonField& operator=(const JsonField&) = delete;

  // A member of this object; absent when this field itself is absent.
  [[nodiscard]] JsonField member(std::string_view name) const;
  [[nodiscard]] bool present() const { return value_ != nullptr; }
  [[nodiscard]] bool is_text() const { return present() && value_->is_string(); }

  [[nodiscard]] std::string text(std::string_view when_absent = {}) const;
  // A failure when absent or empty.
  [[nodiscard]] std::string required_text() const;
  [[nodiscard]] bool flag(bool when_absent) const;
  [[nodiscard]] std::optional<std::int64_t> number(std::int64_t low, std::int64_t high) const;
  [[nodiscard]] std::optional<IpAddress> address() const;
  [[nodiscard]] std::map<std::string, std::string> text_map() const;

  // Calls visit(const JsonField& element) for each element of this array.
  template <class Visit>
  void each(Visit visit) const {
    if (!is(nlohmann::json::value_t::array)) return;
    std::size_t index = 0;
    for (const auto& element : *value_) visit(JsonField(element.is_null() ? nullptr : &element, *this, {}, index++));
  }

  // Notes that this field is wrong, unless an earlier one was.
  void fail(std::string_view why) const;

 private:
  JsonField(const nlohmann::json* value, const JsonField& parent, std::string_view name, std::size_t index)
      : value_(value), failure_(parent.failure_), parent_(&parent), name_(name), index_(index) {}
  // Present and of this type; present and of another is a failure.
  [[nodiscard]] bool is(nlohmann::json::value_t type) const;
  [[nodiscard]] std::string path() const;

  const nlohmann::json* value_;
  std::optional<std::string>& failure_;
  const JsonField* parent_ = nullptr;
  std::string_view name_;  // empty: an array's element
  std::size_t index_ = 0;
};

}  // namespace vipkeeper::objects
