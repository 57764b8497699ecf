#include "controller/plan/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>

namespace vipkeeper::plan {

namespace {

using objects::EndpointPort;
using objects::EndpointSlice;
using objects::ServicePort;

// The port number the slice's endpoints serve this Service port on. A slice port without a number means that the
// endpoints have all ports, so the Service's own numeric target port counts.
std::optional<std::uint16_t> number_of(const EndpointPort& slice_port, const ServicePort& port) {
  if (slice_port.port) return slice_port.port;
  if (const auto* number = std::get_if<std::uint16_t>(&port.target_port)) return *number;
  return std::nullopt;
}

std::string why_none(const ServicePort& port, const std::vector<const EndpointSlice*>& slices, Family family,
                     std::size_t matching) {
  if (matching > 0) return fmt::format("none of its {} endpoints is ready", matching);
  bool any_of_family = false;
  bool any_other = false;
  for (const auto* slice : slices) {
    if (slice->endpoints.empty()) continue;
    (slice->family == family ? any_of_family : any_other) = true;
  }
  if (!any_of_family && any_other) {
    return fmt::format("it has no {} endpoints", family == Family::ipv4 ? "IPv4" : "IPv6");
  }
  if (!any_of_family) return "it has no endpoints";
  return fmt::format("no endpoint has a {} port named \"{}\"", to_string(port.protocol), port.name);
}

}  // namespace

void sort_unique(std::vector<RealServerPlan>& servers) {
  const auto place = [](const RealServerPlan& server) { return std::tie(server.address, server.port); };
  std::ranges::sort(servers, [&](const auto& one, const auto& other) {
    if (place(one) != place(other)) return place(one) < place(other);
    return std::tie(one.weight, one.on_this_node) > std::tie(other.weight, other.on_this_node);
  });
  const auto rest = std::ranges::unique(servers, {}, place);
  servers.erase(rest.begin(), rest.end());
}

EndpointChoice choose_endpoints(const objects::Service& service, const ServicePort& port,
                                const std::vector<const EndpointSlice*>& slices, Family family,
                                const std::string& own_node) {
  EndpointChoice choice;
  std::vector<std::size_t> leaving;  // those of them that serve while they terminate
  bool any_ready = false;
  std::size_t matching = 0;
  for (const auto* slice : slices) {
    if (slice->family != family) continue;
    for (const auto& slice_port : slice->ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      const auto number = number_of(slice_port, port);
      if (!number) continue;
      matching += slice->endpoints.size();
      for (const auto& endpoint : slice->endpoints) {
        const bool is_ready = endpoint.ready || service.publish_not_ready_addresses;
        if (!is_ready && !endpoint.terminating) continue;
        any_ready = any_ready || is_ready;
        if (!is_ready && endpoint.serving) leaving.push_back(choice.real_servers.size());
        choice.real_servers.push_back({.address = endpoint.address,
                                       .port = *number,
                                       .weight = is_ready ? 1 : 0,
                                       .on_this_node = !own_node.empty() && endpoint.node_name == own_node});
      }
    }
  }
  if (!any_ready)
    for (const std::size_t index : leaving) choice.real_servers[index].weight = 1;
  sort_unique(choice.real_servers);
  if (!any_ready && leaving.empty()) choice.why_none = why_none(port, slices, family, matching);
  return choice;
}

}  // namespace vipkeeper::plan
