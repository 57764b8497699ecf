#include "engine/router/router_id.h"

#include "engine/router/observation.h"

namespace vipkeeper::router {

RouterId RouterId::of(const config::VrrpInstance& instance) {
  const auto& addresses = instance.addresses.empty() ? instance.excluded_addresses : instance.addresses;
  const Family family = addresses.empty() ? Family::ipv4 : addresses.front().prefix.address.family();
  return {instance.interface, instance.vrid, family,
          is_unicast(instance) ? "unicast" : instance.multicast_group.to_string()};
}

}  // namespace vipkeeper::router
