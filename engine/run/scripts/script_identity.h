#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace vipkeeper::run {

// Who a script runs as.
struct ScriptIdentity {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;  // all of them, `group` included
  bool is_ours = false;       // as this process is: nothing has to be changed

  // What root may, all of it or as its group: keepalived counts both.
  [[nodiscard]] bool is_root() const { return user == 0 || group == 0; }
};

// `text`: "USER" or "USER GROUP"; empty: as this process is. A user without a group has its own, and the further groups
// that this host's group file gives it. Errors: not_found names the user or group that does not exist; unavailable,
// this host cannot look it up now.
Result<ScriptIdentity> find_identity(const std::string& text);

// Whether this process may start one that is `identity`, which `text` named. Error permission names the capability that
// is missing.
Result<void> check_may_become(const ScriptIdentity& identity, const std::string& text);

}  // namespace vipkeeper::run
