#include "controller/plan/forwarding.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "controller/plan/endpoints.h"
#include "controller/plan/judge.h"
#include "controller/plan/service_options.h"

namespace vipkeeper::plan {

namespace {

constexpr std::string_view held = "the address is held, nothing is forwarded";

using PortKey = std::pair<std::uint16_t, Protocol>;

// One entry while it is planned.
struct EntryWork {
  const std::vector<IpAddress>& addresses;
  const Snapshot& snapshot;
  Forwarding result = {};
  std::set<PortKey> taken = {};                                // on all addresses
  std::map<std::string, std::set<std::string>> left_out = {};  // ports that are taken already, by Service
  std::string beyond = {};                                     // the first port that is one too many; empty: none
};

// One Service of it.
struct Work {
  EntryWork& entry;
  const ServiceReference& reference;
  const objects::Service& service;
  ServiceOptions options;
  std::vector<const objects::EndpointSlice*> slices;

  void remark(Severity severity, std::string message) { entry.result.remarks.add(severity, std::move(message)); }
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
void plan_port(Work& work, const objects::ServicePort& port) {
  auto& entry = work.entry;
  if (entry.taken.contains({port.port, port.protocol})) {
    entry.left_out[work.reference.to_string()].insert(port_name(port));
    return;
  }
  if (!entry.beyond.empty()) return;
  if ((entry.taken.size() + 1) * entry.addresses.size() > most_pairs) {
    entry.beyond = fmt::format("port {} of Service {}", port_name(port), work.reference.to_string());
    return;
  }
  entry.taken.emplace(port.port, port.protocol);
  auto choice =
      choose_endpoints(work.service, port, work.slices, entry.addresses.front().family(), entry.snapshot.own_node());
  const auto method = work.options.method;
  if (method == Method::direct || method == Method::tunnel) keep_port(work, port, choice.real_servers);
  for (const auto& address : entry.addresses) {
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
    entry.result.virtual_services.emplace(key, std::move(planned));
  }
  if (choice.why_none.empty()) return;
  work.remark(Severity::warning,
              fmt::format("port {} of Service {}: {}: the address is held, new connections to the port are refused",
                          port_name(port), work.reference.to_string(), choice.why_none));
}

// However often a Service stands in the entry, and with however many ports that others have: one remark.
void remark_on_left_out(EntryWork& entry) {
  constexpr std::size_t shown = 8;
  for (const auto& [service, ports] : entry.left_out) {
    std::string names;
    std::size_t count = 0;
    for (const auto& port : ports) {
      if (count++ < shown) names += (names.empty() ? "" : ", ") + port;
    }
    if (count > shown) names += fmt::format(" and {} more", count - shown);
    entry.result.remarks.add(Severity::error,
                             fmt::format("port{} {} of Service {} {} taken by an earlier one of the same entry: left "
                                         "out; choose between them with ports",
                                         count == 1 ? "" : "s", names, service, count == 1 ? "is" : "are"));
  }
  if (entry.beyond.empty()) return;
  entry.result.remarks.add(Severity::error,
                           fmt::format("more than {} pairs of address and port: {} and what follows is left out; name "
                                       "fewer addresses or ports, or write several entries",
                                       most_pairs, entry.beyond));
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

void plan_service(EntryWork& entry, const ServiceReference& reference) {
  const auto& snapshot = entry.snapshot;
  const std::string name = reference.to_string();
  const auto* service = snapshot.service(name);
  if (auto why = refuse_service(name, reference, service, snapshot.options()); !why.empty()) {
    entry.result.remarks.add(Severity::error, std::move(why));
    return;
  }
  Work work{.entry = entry,
            .reference = reference,
            .service = *service,
            .options = service_options(reference, *service),
            .slices = snapshot.slices(name)};
  entry.result.remarks.add(work.options.remarks);
  if (!settle_method(work, snapshot.options())) return;
  for (const auto* port : selected_ports(work)) plan_port(work, *port);
}

}  // namespace

Forwarding plan_forwarding(const Entry& entry, const Snapshot& snapshot) {
  std::vector<IpAddress> addresses;
  for (const auto& held_address : held_addresses(&entry)) addresses.push_back(held_address.prefix.address);
  if (addresses.empty()) return {};
  EntryWork work{.addresses = addresses, .snapshot = snapshot};
  for (const auto& reference : entry.services) plan_service(work, reference);
  remark_on_left_out(work);
  return std::move(work.result);
}

}  // namespace vipkeeper::plan
