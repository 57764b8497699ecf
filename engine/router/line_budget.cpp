#include "engine/router/line_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vipkeeper::router {
namespace {

constexpr auto quiet_time = std::chrono::minutes(1);
constexpr double tokens_a_second = 0.2;
// The classes are the program's own texts, a few for each router; a text without numbers is not a sender's to choose.
constexpr std::size_t most_classes = 4096;

std::string class_of(std::string_view line) {
  std::string result;
  for (const char c : line) {
    if ((c < '0' || c > '9') && c != '.') result.push_back(c);
  }
  return result;
}

}  // namespace

std::optional<std::string> LineBudget::admit(TimePoint now, std::string_view line) {
  std::string kind = class_of(line);
  const auto known = classes_.find(kind);
  if (known != classes_.end() && now < known->second.next) {
    ++known->second.held_back;
    return std::nullopt;
  }
  const double passed = std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(most_tokens, tokens_ + std::max(passed, 0.0) * tokens_a_second);
  filled_ = now;
  if (known == classes_.end() && classes_.size() >= most_classes) {
    std::erase_if(classes_, [&](const auto& entry) { return entry.second.next <= now; });
  }
  if (tokens_ < 1 || (known == classes_.end() && classes_.size() >= most_classes)) {
    ++unsaid_;
    return std::nullopt;
  }
  tokens_ -= 1;
  Class& one = classes_[std::move(kind)];
  const unsigned same = std::exchange(one.held_back, 0);
  const unsigned others = std::exchange(unsaid_, 0);
  one.next = now + quiet_time;
  std::string result(line);
  if (same != 0) result += fmt::format(" ({} more since the last such line)", same);
  if (others != 0) result += fmt::format(" ({} other lines were held back)", others);
  return result;
}

}  // namespace vipkeeper::router
