#pragma once

#include <map>
#include <span>
#include <vector>

#include "engine/check/schedule.h"
#include "engine/config/config.h"
#include "engine/ipvs/table.h"
#include "engine/status/snapshot.h"

// From a virtual_server of the configuration to what the kernel shall hold for it and what status shows of it. Pure.
namespace vipkeeper::run {

ipvs::ServiceKey service_key(const config::VirtualServerKey& key);

// A real server's entry: with direct routing and tunnels the port is the virtual service's, whatever was configured,
// because the packets are passed on as they are.
ipvs::DestinationKey destination_key(const config::VirtualServer& server, const config::RealServer& real);

check::Target check_target(const config::RealServer& real, const config::TcpCheck& check);

// All its checks say so; one that has no result yet says no where `alpha`.
bool is_alive(const config::VirtualServer& server, const config::RealServer& real, const check::Schedule& checks);

// What the kernel shall hold: living real servers, and with weight 0 the dead ones that are inhibit_on_failure.
ipvs::ServiceEntry desired_entry(const config::VirtualServer& server, const check::Schedule& checks);

// The same as if every real server were alive: for `plan`.
ipvs::ServiceEntry desired_entry(const config::VirtualServer& server);

// Weight alive, and at least 1 and `quorum` (which counts as the whole weight where it is more); `hysteresis` keeps a
// service that is up, up a little longer, and one that is down, down.
bool has_quorum(const config::VirtualServer& server, const check::Schedule& checks, bool was_up);

status::VirtualServiceStatus service_status(const config::VirtualServer& server, const check::Schedule& checks,
                                            bool quorum_up);

// Fills in the counters of what is in `stats`.
void add_stats(std::span<status::VirtualServiceStatus> services,
               const std::map<ipvs::ServiceKey, ipvs::ServiceStats>& stats);

}  // namespace vipkeeper::run
