#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/config/configuration.h"

namespace vipkeeper::cmd {

// A keepalived.conf with what it includes, in the order of its text.
struct ConfigText {
  std::vector<config::SourceText> sources;
  std::vector<config::Problem> problems;  // of includes: no such file, not readable, too deep
};

// Follows the includes of a file's top level, and theirs; a pattern is as glob(7) has it, with {a,b} in quotes, and
// relative to the folder of the file that it stands in. One without a match is a warning (includem, includea: an
// error). An Error is for `path` alone.
Result<ConfigText> read_config(const std::string& path);

}  // namespace vipkeeper::cmd
