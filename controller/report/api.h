#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/base/clock.h"

// The vocabulary between what is to be written to the API server (pure: event_series.h, service_status.h) and the edge
// that writes.
namespace vipkeeper::report {

// Both clocks of one turn: deadlines are reckoned on the first, Events show the second.
struct Moment {
  TimePoint now;
  WallTime wall{};
};

struct ApiRequest {
  std::string method;
  std::string target;  // path and query, encoded
  std::string accept = "application/json";
  std::string content_type{};  // of the body
  std::string body{};
};

struct ApiAnswer {
  int status = 0;      // 0: nobody answered, and `text` says why
  std::string text{};  // else the body
  std::optional<std::chrono::seconds> retry_after{};
};

}  // namespace vipkeeper::report
