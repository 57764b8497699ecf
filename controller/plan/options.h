#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"
#include "engine/base/result.h"

namespace vipkeeper::plan {

// The flags and the environment of `run` and `render` that a plan depends on (interface.md); fixed for a process.
struct PlanOptions {
  std::string config_map_namespace = "default";  // --services-configmap
  std::string config_map_name;
  std::string watch_namespace;  // empty: all
  bool use_unicast = false;
  bool proxy_protocol_mode = false;
  std::uint8_t vrid = 50;  // 1..255
  std::string interface;   // --iface; empty: the one whose subnet holds the node's address
  std::string node_name;   // --node-name; empty: the own pod's node, else host_name
  std::string host_name;
  std::string pod_namespace;  // POD_NAMESPACE and POD_NAME; empty: not in a pod
  std::string pod_name;
  std::optional<IpAddress> node_ip;                    // --node-ip
  Duration advert_interval = std::chrono::seconds(1);  // 10 ms to 40.95 s
  std::vector<IpPrefix> service_cidrs;                 // --service-cidr
  std::vector<IpPrefix> allowed_vips;                  // --allowed-vips; empty: any
  std::string notify;                                  // KEEPALIVED_NOTIFY
};

// Whether the options can be used at all; an Error is wrong usage and names the flag or the variable.
Result<void> validate_options(const PlanOptions& options);

// Whether a value may stand in a keepalived.conf as one word, or, with blanks, in quotes: nothing in it ends a line, a
// block, a quotation, or begins a comment or an expansion.
bool is_pasteable(std::string_view value, bool blanks_allowed);

// Whether the kernel would give an interface this name, and a configuration could hold it.
bool is_interface_name(std::string_view name);

// One address of an interface of this host, as the edge read it.
struct HostInterface {
  std::string name;
  IpPrefix prefix;  // the interface's own address with its subnet's length; 0.0.0.0/32 where it has none
  auto operator<=>(const HostInterface&) const = default;
};

}  // namespace vipkeeper::plan
