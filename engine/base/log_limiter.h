#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/clock.h"

namespace vipkeeper {

// Lets one line of each class through a minute, and counts the rest: what can be caused without end must not fill the
// log.
class LogLimiter {
 public:
  // How many lines of `kind` were held back since the last one let through; nullopt: hold this one back too. Of classes
  // 4096 are remembered; a further one is held back until an older one may speak again.
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

}  // namespace vipkeeper
