#pragma once

#include <optional>
#include <string>
#include <utility>

#include "engine/base/clock.h"
#include "engine/run/services/programmer.h"

namespace vipkeeper::run {

// The programming thread's log lines, 50 a second at most: checks of a whole rack may end in one moment. Then the
// number of those held back is told; warnings and errors always pass.
class ProgrammingLog {
 public:
  ProgrammingLog(Log sink, std::string prefix) : sink_(std::move(sink)), prefix_(std::move(prefix)) {}

  void write(LogLevel level, const std::string& line, TimePoint now);
  // Tells what was held back if its second is over. To be called no later than deadline().
  void turn(TimePoint now);
  // The same at once, before the end.
  void flush();
  [[nodiscard]] std::optional<TimePoint> deadline() const;

 private:
  const Log sink_;
  const std::string prefix_;
  TimePoint second_ends_{};
  unsigned lines_ = 0;
  unsigned held_back_ = 0;
};

}  // namespace vipkeeper::run
