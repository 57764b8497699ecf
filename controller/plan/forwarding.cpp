#include "controller/plan/forwarding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controller/plan/endpoints.h"

namespace vipkeeper::plan {

namespace {

constexpr std::string_view held = "the address is held, nothing is forwarded";

// One Service of one entry while it is planned.
struct Work {
  const ServiceReference& reference;
  const objects::Service& service;
  ServiceOptions options;
  std::vector<const objects::EndpointSlice*> slices;
  Forwarding& result;

  void remark(Severity severity, std::string message) { result.remarks.push_back({severity, std::move(message)}); }
};

std::string port_name(const objects::ServicePort& port) {
  const auto number = fmt::format("{}/{}", port.port, to_string(port.protocol));
  return port.name.empty() ? number : fmt::format("{} ({})", port.name, number);
}

// DR leaves the packet as it is, so the real server gets it on the VIP's port whatever the endpoint says.
void keep_port(Work& work, const objects::ServicePort& port, std::vector<RealServerPlan>& real_servers) {
  const auto other = std::ranges::find_if(real_servers, [&](const auto& server) { return server.port != port.port; });
  if (other == real_servers.end()) return;
  work.remark(Severity::warning,
              fmt::format("DR cannot change ports: port {} of Service {} reaches the endpoints on {}, they serve {}; "
                          "make targetPort the port, or use NAT",
                          port_name(port), work.reference.to_string(), port.port, other->port));
  for (auto& server : real_servers) server.port = port.port;
  std::ranges::sort(real_servers);
  const auto rest = std::ranges::unique(real_servers);
  real_servers.erase(rest.begin(), rest.end());
}

void plan_port(Work& work, const IpAddress& address, const objects::ServicePort& port) {
  auto choice = choose_endpoints(work.service, port, work.slices, address.family());
  if (choice.real_servers.empty()) {
    work.remark(Severity::warning, fmt::format("port {} of Service {}: {}: the address is held, the port not forwarded",
                                               port_name(port), work.reference.to_string(), choice.why_none));
    return;
  }
  if (work.options.method == Method::direct) keep_port(work, port, choice.real_servers);
  auto planned = std::make_shared<VirtualServicePlan>();
  planned->key = {.address = address, .port = port.port, .protocol = port.protocol};
  planned->service = work.reference.to_string();
  planned->method = work.options.method;
  planned->scheduler = work.options.scheduler;
  planned->persistence_seconds = work.options.persistence_seconds;
  planned->check = port.protocol == Protocol::tcp ? work.options.check : HealthCheck::none;
  planned->real_servers = std::move(choice.real_servers);
  const auto key = planned->key;
  if (work.result.virtual_services.emplace(key, std::move(planned)).second) return;
  work.remark(Severity::error,
              fmt::format("port {} of Service {} is taken by an earlier one of the same entry: left out",
                          port_name(port), work.reference.to_string()));
}

// Which way the method can be served; false: not at all.
bool settle_method(Work& work, const PlanOptions& options) {
  if (work.options.method == Method::tunnel) {
    work.remark(Severity::error, fmt::format("method TUN of Service {} is not available yet: {}; use NAT or DR",
                                             work.reference.to_string(), held));
    return false;
  }
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

void plan_service(const Entry& entry, const ServiceReference& reference, const Snapshot& snapshot, Forwarding& result) {
  const std::string name = reference.to_string();
  const auto fail = [&](std::string message) { result.remarks.push_back({Severity::error, std::move(message)}); };
  const auto* service = snapshot.service(name);
  const auto& watched = snapshot.options().watch_namespace;
  if (!watched.empty() && watched != reference.name_space) {
    return fail(fmt::format("Service {} is outside --watch-namespace={}: {}", name, watched, held));
  }
  if (service == nullptr)
    return fail(fmt::format("Service {} does not exist: {}; create it or mend the entry", name, held));
  if (service->type == "ExternalName") {
    return fail(fmt::format("Service {} is of type ExternalName, it has no endpoints: {}", name, held));
  }
  if (service->ports.empty()) return fail(fmt::format("Service {} has no ports: {}; add spec.ports", name, held));
  Work work{.reference = reference,
            .service = *service,
            .options = service_options(reference, *service),
            .slices = snapshot.slices(name),
            .result = result};
  for (auto& remark : work.options.remarks) result.remarks.push_back(std::move(remark));
  if (!settle_method(work, snapshot.options())) return;
  for (const auto& prefix : entry.addresses) {
    for (const auto& port : service->ports) plan_port(work, prefix.address, port);
  }
}

}  // namespace

Forwarding plan_forwarding(const Entry& entry, const Snapshot& snapshot) {
  Forwarding result;
  for (const auto& reference : entry.services) plan_service(entry, reference, snapshot, result);
  return result;
}

}  // namespace vipkeeper::plan
