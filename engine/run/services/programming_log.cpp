#include "engine/run/services/programming_log.h"

#include <chrono>

namespace vipkeeper::run {
namespace {

constexpr unsigned lines_a_second = 50;

}  // namespace

void ProgrammingLog::write(LogLevel level, const std::string& line, TimePoint now) {
  turn(now);
  if (now >= second_ends_) {
    second_ends_ = now + std::chrono::seconds(1);
    lines_ = 0;
  }
  if (++lines_ > lines_a_second && level == LogLevel::info)
    ++held_back_;
  else
    sink_(level, prefix_ + line);
}

void ProgrammingLog::turn(TimePoint now) {
  if (now >= second_ends_) flush();
}

void ProgrammingLog::flush() {
  if (held_back_ > 0)
    sink_(LogLevel::info, prefix_ + "IPVS: " + std::to_string(held_back_) + " more lines like these were held back");
  held_back_ = 0;
}

std::optional<TimePoint> ProgrammingLog::deadline() const {
  return held_back_ > 0 ? std::optional(second_ends_) : std::nullopt;
}

}  // namespace vipkeeper::run
