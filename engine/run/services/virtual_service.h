#pragma once

#include <map>
#include <set>
#include <span>
#include <vector>

#include "engine/check/schedule.h"
#include "engine/config/config.h"
#include "engine/ipvs/table.h"
#include "engine/status/snapshot.h"

// From a virtual_server of the configuration to what the kernel shall hold for it and what status shows of it. Pure.
namespace vipkeeper::run {

// The kernel's form of the name.
ipvs::ServiceKey service_key(const config::VirtualServerKey& key);

// A real server's entry: with direct routing and tunnels the port is the virtual service's, whatever was configured,
// because the packets are passed on as they are.
ipvs::DestinationKey destination_key(const config::VirtualServer& server, const config::RealServer& real);

check::Target check_target(const config::RealServer& real, const config::TcpCheck& check);

// All its checks say so; one that has no result yet says no where `alpha`.
bool is_alive(const config::VirtualServer& server, const config::RealServer& real, const check::Schedule& checks);

// Draining real servers that are not in the kernel and are not to get into it.
using Missed = std::set<ipvs::DestinationKey>;

// A real server that drains (weight 0) is not checked any more, and its check's last word is lost with the check. If
// that was that it is dead, the kernel has no destination and no connection of it, so that there is nothing to drain:
// adding it would be a command for nothing, and would show as alive what is not. `previous` (null: none) with `missed`:
// the form before this one, its checks being followed still.
Missed missed_drains(const config::VirtualServer& server, const config::VirtualServer* previous, const Missed& missed,
                     const check::Schedule& checks);

// What the kernel shall hold: living real servers but for `missed`, and with weight 0 the dead ones that are
// inhibit_on_failure.
ipvs::ServiceEntry desired_entry(const config::VirtualServer& server, const check::Schedule& checks,
                                 const Missed& missed = {});

// The same as if every real server were alive: for `plan`.
ipvs::ServiceEntry desired_entry(const config::VirtualServer& server);

// Weight alive, and at least 1 and `quorum` (which counts as the whole weight where it is more); `hysteresis` keeps a
// service that is up, up a little longer, and one that is down, down. What drains has no weight, and so is none that is
// dead; a service where all drain takes no connections and is down.
bool has_quorum(const config::VirtualServer& server, const check::Schedule& checks, bool was_up);

status::VirtualServiceStatus service_status(const config::VirtualServer& server, const check::Schedule& checks,
                                            bool quorum_up, const Missed& missed = {});

// Fills in the counters of what is in `stats`.
void add_stats(std::span<status::VirtualServiceStatus> services,
               const std::map<ipvs::ServiceKey, ipvs::ServiceStats>& stats);

}  // namespace vipkeeper::run
