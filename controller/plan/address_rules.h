#pragma once

#include <string>
#include <vector>

#include "controller/plan/options.h"
#include "controller/plan/snapshot.h"
#include "engine/base/ip_address.h"

namespace vipkeeper::plan {

// Why an address can never be a VIP here, by its own nature, the flags or the host's subnets; empty: it can.
std::string refuse_address(const IpAddress& address, const PlanOptions& options,
                           const std::vector<HostInterface>& interfaces);

// Why an address cannot be a VIP of that prefix length; empty: it can.
std::string refuse_prefix(const IpPrefix& prefix);

// Why an address cannot be a VIP while these objects are there; empty: it can.
std::string refuse_used_address(const IpAddress& address, const Snapshot& snapshot);

// The interfaces whose subnets say where an address belongs: not loopback, not those of container networks, not host
// prefixes (a VIP that is held shows up as one).
std::vector<HostInterface> subnets_of(const std::vector<HostInterface>& interfaces);

// Whether the host has an interface of that name.
bool has_interface(const std::string& name, const std::vector<HostInterface>& interfaces);

// The interfaces that have an address.
std::vector<std::string> carriers_of(const IpAddress& address, const std::vector<HostInterface>& interfaces);

// The interface in whose subnet the address lies, the longest prefix first, `preferred` among equals; empty: none.
std::string interface_for(const IpAddress& address, const std::vector<HostInterface>& subnets,
                          const std::string& preferred);

}  // namespace vipkeeper::plan
