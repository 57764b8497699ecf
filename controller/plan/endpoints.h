#pragma once

#include <string>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/plan.h"

namespace vipkeeper::plan {

struct EndpointChoice {
  std::vector<RealServerPlan> real_servers;  // sorted numerically, no duplicates
  std::string why_none;                      // when there is none, in words for the user
};

// The endpoints of one port of a Service: those of its slices that carry the port's name and protocol in the address's
// family, all slices together, an endpoint that is in two of them once. Ready ones count; if there is none, those that
// serve while they terminate; all, where the Service publishes not ready addresses (discovery/v1). `own_node`: whose
// endpoints are marked as being here; empty: not known, none is.
EndpointChoice choose_endpoints(const objects::Service& service, const objects::ServicePort& port,
                                const std::vector<const objects::EndpointSlice*>& slices, Family family,
                                const std::string& own_node);

}  // namespace vipkeeper::plan
