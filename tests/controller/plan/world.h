#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/planner.h"

// Small words to write a cluster down with. Text that is no address throws.
namespace vipkeeper::plan::world {

inline IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }

inline IpPrefix cidr(const std::string& text) { return IpPrefix::parse(text).value(); }

// `namespace/name`; Nodes have no slash.
inline objects::ObjectKey key(objects::Kind kind, const std::string& name) {
  const auto slash = name.find('/');
  if (slash == std::string::npos) return {kind, "", name};
  return {kind, name.substr(0, slash), name.substr(slash + 1)};
}

inline objects::Kind kind_of(const objects::ConfigMap&) { return objects::Kind::config_map; }
inline objects::Kind kind_of(const objects::Service&) { return objects::Kind::service; }
inline objects::Kind kind_of(const objects::EndpointSlice&) { return objects::Kind::endpoint_slice; }
inline objects::Kind kind_of(const objects::Endpoints&) { return objects::Kind::endpoints; }
inline objects::Kind kind_of(const objects::Node&) { return objects::Kind::node; }
inline objects::Kind kind_of(const objects::Pod&) { return objects::Kind::pod; }

template <class T>
objects::ObjectChange is(const std::string& name, T object) {
  const auto kind = kind_of(object);
  return {key(kind, name), std::make_shared<const objects::Object>(std::move(object))};
}

inline objects::ObjectChange gone(objects::Kind kind, const std::string& name) { return {key(kind, name), nullptr}; }

inline objects::ObjectChange entries(std::map<std::string, std::string> data) {
  return is("default/vips", objects::ConfigMap{.data = std::move(data)});
}

inline objects::ServicePort port(std::uint16_t number, std::uint16_t target, std::string name = "",
                                 Protocol protocol = Protocol::tcp) {
  return {.name = std::move(name), .protocol = protocol, .port = number, .target_port = target};
}

inline objects::Service service(std::vector<objects::ServicePort> ports,
                                std::map<std::string, std::string> annotations = {}) {
  objects::Service result;
  result.ports = std::move(ports);
  result.annotations = std::move(annotations);
  return result;
}

inline objects::Endpoint ready(const std::string& address) { return {.address = ip(address)}; }

inline objects::EndpointSlice slice(const std::string& service, std::vector<objects::EndpointPort> ports,
                                    std::vector<objects::Endpoint> endpoints) {
  objects::EndpointSlice result;
  result.service = service;
  result.ports = std::move(ports);
  result.endpoints = std::move(endpoints);
  if (!result.endpoints.empty()) result.family = result.endpoints.front().address.family();
  return result;
}

inline objects::EndpointPort on(std::uint16_t number, std::string name = "", Protocol protocol = Protocol::tcp) {
  return {.name = std::move(name), .protocol = protocol, .port = number};
}

inline objects::Node node(const std::string& internal, std::map<std::string, std::string> labels = {}) {
  objects::Node result;
  result.internal_addresses = {ip(internal)};
  result.labels = std::move(labels);
  return result;
}

// The node n1 of the ConfigMap default/vips, on eth0 10.0.0.4/24.
inline PlanOptions options() {
  PlanOptions result;
  result.config_map_namespace = "default";
  result.config_map_name = "vips";
  result.host_name = "n1";
  return result;
}

inline std::vector<HostInterface> eth0() { return {{"lo", cidr("127.0.0.1/8")}, {"eth0", cidr("10.0.0.4/24")}}; }

// A planner of node n1 with these objects, synced.
inline Planner planner_with(std::vector<objects::ObjectChange> changes, PlanOptions with = options(),
                            std::vector<HostInterface> interfaces = eth0()) {
  Planner planner(std::move(with));
  planner.set_interfaces(std::move(interfaces));
  changes.push_back(is("n1", node("10.0.0.4")));
  planner.apply(changes, true);
  return planner;
}

inline PlanChange step(Planner& planner, objects::ObjectChange change) {
  const objects::ObjectChange changes[] = {std::move(change)};
  return planner.apply(changes, true);
}

inline std::vector<std::string> held(const VipPlan& plan) {
  std::vector<std::string> result;
  if (plan.vrrp == nullptr) return result;
  for (const auto& address : plan.vrrp->addresses) {
    const auto device = address.interface.empty() ? "" : " dev " + address.interface;
    result.push_back(address.prefix.to_string() + device + (address.tracked ? "" : " no_track"));
  }
  return result;
}

// "tcp 10.0.0.50:80 NAT wlc default/web -> 10.2.0.5:8080 10.2.0.6:8080~", the second of which drains
inline std::string shown(const VirtualServicePlan& service) {
  std::string text = service.key.to_string() + " " + std::string(to_string(service.method)) + " " + service.scheduler;
  if (service.masquerade != Masquerade::automatic) text += " masquerade " + std::string(to_string(service.masquerade));
  if (service.persistence_seconds != 0) text += " " + std::to_string(service.persistence_seconds) + "s";
  text += " " + service.service + " ->";
  for (const auto& server : service.real_servers) {
    text += " " + server.address.to_string() + ":" + std::to_string(server.port) + (server.weight == 0 ? "~" : "");
  }
  return text;
}

inline std::vector<std::string> services(const VipPlan& plan) {
  std::vector<std::string> result;
  for (const auto& [key, service] : plan.virtual_services) result.push_back(shown(*service));
  return result;
}

inline std::vector<std::string> services(const PlanChange& change) {
  std::vector<std::string> result;
  for (const auto& [key, service] : change.virtual_services) {
    result.push_back(service == nullptr ? key.to_string() + " gone" : shown(*service));
  }
  return result;
}

// "error OBJECT: MESSAGE", in order.
inline std::vector<std::string> problems(const VipPlan& plan) {
  std::vector<std::string> result;
  for (const auto& problem : all_problems(plan.problems)) {
    const std::string severity = problem.severity == Severity::error ? "error " : "warning ";
    result.push_back(severity + problem.object + ": " + problem.message);
  }
  return result;
}

using Lines = std::vector<std::string>;

}  // namespace vipkeeper::plan::world
