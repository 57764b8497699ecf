#include "controller/plan/load_balancer.h"

#include <algorithm>

namespace vipkeeper::plan {

namespace {

// A server older than ipMode drops it, and so it is no difference when it is missing: VIP is what that means.
bool says(const objects::LoadBalancerIngress& ingress, const IpAddress& address) {
  return ingress.hostname.empty() && (ingress.ip_mode.empty() || ingress.ip_mode == "VIP") &&
         IpAddress::parse(ingress.ip) == address;
}

}  // namespace

std::optional<LoadBalancerPlan> plan_load_balancer(const objects::Service* service,
                                                   const std::set<IpAddress>& addresses) {
  if (service == nullptr || !service->own_class) return std::nullopt;
  LoadBalancerPlan result{.addresses = {addresses.begin(), addresses.end()}};
  result.shown = std::ranges::equal(service->ingress, result.addresses, says);
  return result;
}

}  // namespace vipkeeper::plan
