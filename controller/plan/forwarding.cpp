#include "controller/plan/forwarding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controller/plan/endpoints.h"
#include "controller/plan/judge.h"

namespace vipkeeper::plan {

namespace {

constexpr std::string_view held = "the address is held, nothing is forwarded";

// One Service of one entry while it is planned.
struct Work {
  const ServiceReference& reference;
  const objects::Service& service;
  ServiceOptions options;
  std::vector<const objects::EndpointSlice*> slices;
  const std::string& own_node;
  Forwarding& result;

  void remark(Severity severity, std::string message) { result.remarks.push_back({severity, std::move(message)}); }
};

std::string port_name(const objects::ServicePort& port) {
  const auto number = fmt::format("{}/{}", port.port, to_string(port.protocol));
  return port.name.empty() ? number : fmt::format("{} ({})", port.name, number);
}

// DR and TUN leave the packet as it is, so the real server gets it on the VIP's port whatever the endpoint says.
void keep_port(Work& work, const objects::ServicePort& port, std::vector<RealServerPlan>& real_servers) {
  const auto other = std::ranges::find_if(real_servers, [&](const auto& server) { return server.port != port.port; });
  if (other == real_servers.end()) return;
  work.remark(
      Severity::warning,
      fmt::format("{} cannot change ports: port {} of Service {} reaches the endpoints on {}, they serve {}; "
                  "make targetPort the port, or use NAT",
                  to_string(work.options.method), port_name(port), work.reference.to_string(), port.port, other->port));
  for (auto& server : real_servers) server.port = port.port;
  sort_unique(real_servers);
}

// A connection says something about a port that takes connections: a TCP one, or the one that the check names.
HealthCheck check_of(const HealthCheck& check, Protocol protocol) {
  if (protocol == Protocol::tcp || check.port != 0) return check;
  return {.type = CheckType::none, .retries = {}, .retry_seconds = {}, .host = {}};
}

// One port on the addresses of one family. It is there without an endpoint too: the port stays the Service's, and IPVS
// refuses (ICMP) what would else reach whatever listens on the node, or leave an entry of connection tracking behind
// that keeps a UDP flow from being balanced later.
void plan_port(Work& work, const objects::ServicePort& port, const std::vector<IpAddress>& addresses) {
  if (addresses.empty()) return;
  auto choice = choose_endpoints(work.service, port, work.slices, addresses.front().family(), work.own_node);
  const auto method = work.options.method;
  if (method == Method::direct || method == Method::tunnel) keep_port(work, port, choice.real_servers);
  bool taken = false;
  bool served = false;
  for (const auto& address : addresses) {
    auto planned = std::make_shared<VirtualServicePlan>();
    planned->key = {.address = address, .port = port.port, .protocol = port.protocol};
    planned->service = work.reference.to_string();
    planned->method = method;
    planned->masquerade = work.options.masquerade;
    planned->scheduler = work.options.scheduler;
    planned->persistence_seconds = work.options.persistence_seconds;
    planned->check = check_of(work.options.check, port.protocol);
    planned->real_servers = choice.real_servers;
    const auto key = planned->key;
    const bool is_first = work.result.virtual_services.emplace(key, std::move(planned)).second;
    (is_first ? served : taken) = true;
  }
  if (served && !choice.why_none.empty()) {
    work.remark(Severity::warning,
                fmt::format("port {} of Service {}: {}: the address is held, new connections to the port are refused",
                            port_name(port), work.reference.to_string(), choice.why_none));
  }
  if (!taken) return;
  work.remark(Severity::error,
              fmt::format("port {} of Service {} is taken by an earlier one of the same entry: left out; choose "
                          "between them with ports",
                          port_name(port), work.reference.to_string()));
}

// The ports that the entry asks for; what the Service does not have is remarked upon.
std::vector<const objects::ServicePort*> selected_ports(Work& work) {
  const auto& selectors = work.reference.ports;
  std::vector<const objects::ServicePort*> result;
  std::string there;
  for (const auto& port : work.service.ports) {
    there += (there.empty() ? "" : ", ") + port_name(port);
    const bool wanted = std::ranges::any_of(selectors, [&](const auto& selector) { return selector.selects(port); });
    if (selectors.empty() || wanted) result.push_back(&port);
  }
  for (const auto& selector : selectors) {
    if (std::ranges::any_of(work.service.ports, [&](const auto& port) { return selector.selects(port); })) continue;
    work.remark(Severity::error, fmt::format("Service {} has no port {}: left out; it has {}",
                                             work.reference.to_string(), selector.to_string(), there));
  }
  return result;
}

// Which way the method can be served; false: not at all.
bool settle_method(Work& work, const PlanOptions& options) {
  if (work.options.method != Method::proxy) return true;
  if (options.proxy_protocol_mode) {
    work.remark(Severity::error, fmt::format("method PROXY of Service {} is not available yet: {}; use NAT or DR",
                                             work.reference.to_string(), held));
    return false;
  }
  work.options.method = Method::masquerade;
  work.remark(Severity::warning, fmt::format("method PROXY of Service {} is served as NAT: it needs "
                                             "--proxy-protocol-mode",
                                             work.reference.to_string()));
  return true;
}

// Why nothing of a Service can be planned; empty: something can.
std::string refuse_service(const std::string& name, const ServiceReference& reference, const objects::Service* service,
                           const PlanOptions& options) {
  const auto& watched = options.watch_namespace;
  if (!watched.empty() && watched != reference.name_space) {
    return fmt::format("Service {} is outside --watch-namespace={}: {}", name, watched, held);
  }
  if (service == nullptr) return fmt::format("Service {} does not exist: {}; create it or mend the entry", name, held);
  if (service->type == "ExternalName") {
    return fmt::format("Service {} is of type ExternalName, it has no endpoints: {}", name, held);
  }
  if (service->ports.empty()) return fmt::format("Service {} has no ports: {}; add spec.ports", name, held);
  return {};
}

void plan_service(const std::vector<IpAddress>& addresses, const ServiceReference& reference, const Snapshot& snapshot,
                  Forwarding& result) {
  const std::string name = reference.to_string();
  const auto* service = snapshot.service(name);
  if (auto why = refuse_service(name, reference, service, snapshot.options()); !why.empty()) {
    result.remarks.push_back({Severity::error, std::move(why)});
    return;
  }
  Work work{.reference = reference,
            .service = *service,
            .options = service_options(reference, *service),
            .slices = snapshot.slices(name),
            .own_node = snapshot.own_node(),
            .result = result};
  for (auto& remark : work.options.remarks) result.remarks.push_back(std::move(remark));
  if (!settle_method(work, snapshot.options())) return;
  for (const auto* port : selected_ports(work)) plan_port(work, *port, addresses);
}

}  // namespace

Forwarding plan_forwarding(const Entry& entry, const Snapshot& snapshot) {
  Forwarding result;
  std::vector<IpAddress> addresses;
  for (const auto& held_address : held_addresses(&entry)) addresses.push_back(held_address.prefix.address);
  if (addresses.empty()) return result;
  for (const auto& reference : entry.services) plan_service(addresses, reference, snapshot, result);
  return result;
}

}  // namespace vipkeeper::plan
