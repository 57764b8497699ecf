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
  const auto address_and_port = [](const RealServerPlan& server) { return std::tie(server.address, server.port); };
  std::ranges::sort(servers, [&](const RealServerPlan& one, const RealServerPlan& other) {
    return std::tuple(address_and_port(one), -one.weight) < std::tuple(address_and_port(other), -other.weight);
  });
  const auto rest = std::ranges::unique(servers, {}, address_and_port);
  servers.erase(rest.begin(), rest.end());
}

EndpointChoice choose_endpoints(const objects::Service& service, const ServicePort& port,
                                const std::vector<const EndpointSlice*>& slices, Family family,
                                const std::string& own_node) {
  std::vector<RealServerPlan> ready;
  std::vector<RealServerPlan> leaving;
  std::size_t matching = 0;
  for (const auto* slice : slices) {
    if (slice->family != family) continue;
    for (const auto& slice_port : slice->ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      const auto number = number_of(slice_port, port);
      if (!number) continue;
      matching += slice->endpoints.size();
      for (const auto& endpoint : slice->endpoints) {
        const bool is_here = !own_node.empty() && endpoint.node_name == own_node;
        RealServerPlan server{.address = endpoint.address, .port = *number, .weight = 1, .on_this_node = is_here};
        if (endpoint.ready || service.publish_not_ready_addresses) {
          ready.push_back(server);
        } else if (endpoint.terminating) {
          server.weight = endpoint.serving ? 1 : 0;
          leaving.push_back(server);
        }
      }
    }
  }
  if (!ready.empty())
    for (auto& server : leaving) server.weight = 0;
  EndpointChoice choice{.real_servers = std::move(ready), .why_none = {}};
  choice.real_servers.insert(choice.real_servers.end(), leaving.begin(), leaving.end());
  sort_unique(choice.real_servers);
  const bool takes_connections =
      std::ranges::any_of(choice.real_servers, [](const RealServerPlan& server) { return server.weight > 0; });
  if (!takes_connections) choice.why_none = why_none(port, slices, family, matching);
  return choice;
}

}  // namespace vipkeeper::plan
