#pragma once

#include <string>

#include "engine/base/result.h"

namespace vipkeeper::cmd {

// The whole file, at most 64 MiB; the Error names it and says why not.
Result<std::string> read_file(const std::string& path);

}  // namespace vipkeeper::cmd
