#include "controller/plan/address_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace vipkeeper::plan {

namespace {

// The first and the last address of a subnet that has more than two (RFC 919; /31 has no broadcast, RFC 3021).
bool is_subnet_edge(const IpAddress& address, const IpPrefix& subnet) {
  if (!address.is_v4() || subnet.length > 30 || !subnet.contains(address)) return false;
  const std::uint32_t host_mask = 0xffffffffU >> subnet.length;
  const std::uint32_t host = address.v4_host_order() & host_mask;
  return host == 0 || host == host_mask;
}

// ::ffff:0:0/96 (RFC 4291 2.5.5.2)
bool is_v4_mapped(const IpAddress& address) {
  static const auto mapped = IpPrefix::parse("::ffff:0:0/96");
  return mapped && mapped->contains(address);
}

std::string list(const std::vector<IpPrefix>& prefixes) {
  std::string text;
  for (const auto& prefix : prefixes) text += (text.empty() ? "" : ",") + prefix.to_string();
  return text;
}

std::string refuse_by_nature(const IpAddress& address) {
  if (address.is_unspecified()) return "is the unspecified address";
  if (is_v4_mapped(address)) return "is an IPv4 address in IPv6's clothes, which no packet carries";
  if (address.is_loopback()) return "is a loopback address, which no other host can reach";
  if (address.is_multicast()) return "is a multicast address";
  if (address.is_link_local()) return "is a link-local address (169.254.0.0/16, fe80::/10)";
  if (!address.is_v4()) return {};
  if (address.v4_host_order() == 0xffffffffU) return "is the broadcast address";
  if ((address.v4_host_order() >> 28) == 0xf) return "is in 240.0.0.0/4, which is reserved";
  return {};
}

}  // namespace

std::string refuse_address(const IpAddress& address, const PlanOptions& options,
                           const std::vector<HostInterface>& interfaces) {
  if (auto why = refuse_by_nature(address); !why.empty()) return why;
  const auto contains = [&](const IpPrefix& prefix) { return prefix.contains(address); };
  if (std::ranges::any_of(options.service_cidrs, contains)) {
    return fmt::format("is inside --service-cidr {}", list(options.service_cidrs));
  }
  if (!options.allowed_vips.empty() && std::ranges::none_of(options.allowed_vips, contains)) {
    return fmt::format("is outside --allowed-vips {}", list(options.allowed_vips));
  }
  for (const auto& interface : interfaces) {
    if (!is_subnet_edge(address, interface.prefix)) continue;
    return fmt::format("is the network or broadcast address of {} on {}", interface.prefix.to_string(), interface.name);
  }
  return {};
}

std::string refuse_prefix(const IpPrefix& prefix) {
  if (!is_subnet_edge(prefix.address, prefix)) return {};
  return fmt::format("is the network or broadcast address of its own prefix /{}", prefix.length);
}

std::string refuse_used_address(const IpAddress& address, const Snapshot& snapshot) {
  if (const auto user = snapshot.user_of(address); !user.empty()) return "is the address of " + user;
  if (const auto node = snapshot.pod_range_owner(address); !node.empty()) {
    return fmt::format("is inside the podCIDRs of Node {}", node);
  }
  return {};
}

std::vector<HostInterface> subnets_of(const std::vector<HostInterface>& interfaces) {
  // What the original left out, and what came after it.
  constexpr std::array<std::string_view, 7> names = {"lo",   "docker0",    "flannel.1",   "cbr0",
                                                     "cni0", "kube-ipvs0", "nodelocaldns"};
  constexpr std::array<std::string_view, 4> prefixes = {"veth", "cali", "vxlan.calico", "tunl"};
  std::vector<HostInterface> result;
  for (const auto& interface : interfaces) {
    const bool starts = std::ranges::any_of(prefixes, [&](auto prefix) { return interface.name.starts_with(prefix); });
    if (starts || std::ranges::find(names, interface.name) != names.end()) continue;
    if (interface.prefix.length == interface.prefix.address.bit_length()) continue;
    // The kernel takes names that a configuration could not hold.
    if (!is_pasteable(interface.name, false)) continue;
    result.push_back(interface);
  }
  std::ranges::sort(result);
  return result;
}

bool has_interface(const std::string& name, const std::vector<HostInterface>& interfaces) {
  return std::ranges::find(interfaces, name, &HostInterface::name) != interfaces.end();
}

std::vector<std::string> carriers_of(const IpAddress& address, const std::vector<HostInterface>& interfaces) {
  std::vector<std::string> result;
  for (const auto& interface : interfaces) {
    if (interface.prefix.address == address) result.push_back(interface.name);
  }
  return result;
}

std::string interface_for(const IpAddress& address, const std::vector<HostInterface>& subnets,
                          const std::string& preferred) {
  const HostInterface* best = nullptr;
  for (const auto& candidate : subnets) {
    if (!candidate.prefix.contains(address)) continue;
    const bool longer = best == nullptr || candidate.prefix.length > best->prefix.length;
    const bool preferred_equal =
        best != nullptr && candidate.prefix.length == best->prefix.length && candidate.name == preferred;
    if (longer || preferred_equal) best = &candidate;
  }
  return best == nullptr ? std::string() : best->name;
}

}  // namespace vipkeeper::plan
