#pragma once

#include <optional>
#include <set>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/plan.h"

namespace vipkeeper::plan {

// What the status of a Service is to say while `addresses` stand for it; nullopt for a Service (null: none) that is not
// of the own class. An address that an allocator of another class or a person wrote there is replaced: the class says
// whose the field is.
std::optional<LoadBalancerPlan> plan_load_balancer(const objects::Service* service,
                                                   const std::set<IpAddress>& addresses);

}  // namespace vipkeeper::plan
