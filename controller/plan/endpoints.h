#pragma once

#include <string>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/plan.h"

namespace vipkeeper::plan {

struct EndpointChoice {
  std::vector<RealServerPlan> real_servers;  // sorted numerically, no duplicates
  std::string why_none;                      // when none of them takes connections, in words for the user
};

// The endpoints of one port of a Service: those of its slices that carry the port's name and protocol in the address's
// family, all slices together. Ready ones count; all, where the Service publishes not ready addresses (discovery/v1).
// One that terminates drains, with weight 0: it keeps its connections and gets no new ones until its slice drops it.
// Only if none is ready, those that serve while they terminate count. What is neither ready nor terminating is left
// out. An endpoint that is in two slices is there once, as the one that lets more through. `own_node`: whose endpoints
// are marked as being here; empty: not known, none is.
EndpointChoice choose_endpoints(const objects::Service& service, const objects::ServicePort& port,
                                const std::vector<const objects::EndpointSlice*>& slices, Family family,
                                const std::string& own_node);

// Sorts by address and port; of several with the same, the one of the highest weight stays.
void sort_unique(std::vector<RealServerPlan>& servers);

}  // namespace vipkeeper::plan
