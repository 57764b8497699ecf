#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/thread/vrrp_config.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

// The first part of a path, links followed, by which somebody who is not root could put another program there, with the
// reason: "/home/eve belongs to user 1000". keepalived's rule: every directory on the way, every link and the file
// itself belong to root, and nobody else may write to them; root's own group may, and a directory with the sticky bit
// keeps what is root's. nullopt: there is none, or a part does not exist.
std::optional<std::string> find_replaceable_part(const std::string& path);

// Whether `command` may be run as `user` ("USER [GROUP]", empty: as this process is). `only_safe`
// (enable_script_security): what root is to run must not be replaceable by others. Of a command that a shell has to
// read, the programs that it names are looked at; what is behind a variable is not seen. Error permission: a part of
// the path or a capability, named; not_found: user or group.
Result<void> check_may_run(std::string_view command, const std::string& user, bool only_safe);

// Takes what may not be run (check_may_run's permission) out of a configuration, as keepalived does: an instance that
// tracks such a check is as if it did not, and such a notify script is none. A problem for each.
std::vector<status::Problem> leave_out_refused_scripts(VrrpConfig& config);

}  // namespace vipkeeper::run
