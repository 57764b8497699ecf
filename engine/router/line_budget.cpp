#include "engine/router/line_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vipkeeper::router {
namespace {

constexpr double tokens_a_second = 0.2;

std::string class_of(std::string_view line) {
  std::string result;
  for (const char c : line) {
    if ((c < '0' || c > '9') && c != '.') result.push_back(c);
  }
  return result;
}

}  // namespace

std::optional<std::string> LineBudget::admit(TimePoint now, std::string_view line) {
  const double passed = std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(most_tokens, tokens_ + std::max(passed, 0.0) * tokens_a_second);
  filled_ = now;
  if (tokens_ < 1) {
    ++unsaid_;
    return std::nullopt;
  }
  const auto same = classes_.admit(now, class_of(line));
  if (!same) return std::nullopt;
  tokens_ -= 1;
  const unsigned others = std::exchange(unsaid_, 0);
  std::string result = std::string(line) + LogLimiter::suffix(*same);
  if (others != 0) result += fmt::format(" ({} other lines were held back)", others);
  return result;
}

}  // namespace vipkeeper::router
