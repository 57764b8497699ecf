#pragma once

#include <string>

#include "engine/base/result.h"

namespace vipkeeper::net {

// The one sentence for "the kernel says no": what could not be done, which capability it needs, and the remedy.
inline Error missing_right(const std::string& doing, const std::string& capability) {
  return {ErrorCode::permission,
          "cannot " + doing + ": CAP_" + capability +
              " is missing; add NET_ADMIN, NET_RAW to the container's capabilities, or run as root"};
}

}  // namespace vipkeeper::net
