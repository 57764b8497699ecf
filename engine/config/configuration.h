#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/config.h"

namespace vipkeeper::config {

struct ApplyResult {
  ConfigDelta delta;
  std::vector<Problem> warnings;
  std::uint32_t fragments_parsed = 0;
};

// The running configuration as a set of parsed fragments. apply() parses only the fragments it is given, validates the
// result whole (also across fragments: two virtual_servers with one key, a track_script that no vrrp_script defines), and
// then swaps; on any error nothing changes and every problem is returned. Work grows with the change, not with the number
// of fragments. Not thread-safe; pure.
class Configuration {
 public:
  std::expected<ApplyResult, std::vector<Problem>> apply(const FragmentChange& change);

 private:
  // (the parser's room)
};

// The fragments of a whole keepalived.conf, one a top-level block, and what the split could not make sense of. A file's
// unchanged blocks give equal fragments (same id, line and text), so a reload costs what changed.
// `previous` are the fragments of the last load: the result removes those that are gone.
FragmentChange split(std::string_view file, std::string_view text, const FragmentChange& previous);

}  // namespace vipkeeper::config
