#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/clock.h"

// Lines for the operator, from the threads of run. Only this module sees spdlog; the program's main() decides where the
// default logger writes, and should make that asynchronous: a pipe that nobody reads must not hold the VRRP thread.
namespace vipkeeper::run {

void log_info(std::string_view line);
void log_warning(std::string_view line);
void log_error(std::string_view line);
// keepalived writes these with -D only.
void log_detail(std::string_view line);

// Lets one line of each class through a minute, and counts the rest: what a peer can cause without end must not fill
// the log.
class LogLimiter {
 public:
  // How many lines of `kind` were held back since the last one let through; nullopt: hold this one back too.
  std::optional<unsigned> admit(TimePoint now, std::string_view kind);
  // " (N more since the last such line)", or nothing.
  static std::string suffix(unsigned held_back);

 private:
  struct Entry {
    TimePoint next;
    unsigned held_back = 0;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace vipkeeper::run
