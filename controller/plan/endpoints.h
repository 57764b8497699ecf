#pragma once

#include <string>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/plan.h"

namespace vipkeeper::plan {

struct EndpointChoice {
  std::vector<RealServerPlan> real_servers;  // sorted numerically, no duplicates
  std::string why_none;                      // when none takes new connections, in words for the user
};

// The endpoints of one port of a Service: those of its slices that carry the port's name and protocol in the address's
// family, all slices together, an endpoint that is in two of them once. Ready ones count; if there is none, those that
// serve while they terminate; all, where the Service publishes not ready addresses (discovery/v1). Others that
// terminate have weight 0: they keep the connections they have until these end or the endpoint is gone, and get no new
// ones. `own_node`: whose endpoints are marked as being here; empty: not known, none is.
EndpointChoice choose_endpoints(const objects::Service& service, const objects::ServicePort& port,
                                const std::vector<const objects::EndpointSlice*>& slices, Family family,
                                const std::string& own_node);

// In numerical order; of an endpoint that is there several times the one that takes connections.
void sort_unique(std::vector<RealServerPlan>& servers);

}  // namespace vipkeeper::plan
