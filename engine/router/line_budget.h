#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/clock.h"
#include "engine/base/log_limiter.h"

namespace vipkeeper::router {

// Which of the lines that others can cause without end are let through: one of each class a minute, and of all classes
// together a burst of twelve and then one in five seconds, whoever causes them. What is held back is counted.
class LineBudget {
 public:
  // The line as it is to be written, with how many were held back before it; nullopt: hold this one back too. Its class
  // is its text without numbers, since those are the sender's.
  std::optional<std::string> admit(TimePoint now, std::string_view line);

 private:
  static constexpr double most_tokens = 12;
  LogLimiter classes_;
  double tokens_ = most_tokens;
  TimePoint filled_{};
  unsigned unsaid_ = 0;  // held back for the sake of all
};

}  // namespace vipkeeper::router
