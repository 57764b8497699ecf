#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/protocol.h"

// The Kubernetes objects that a plan is made of, as plain structs that hold only what the plan reads (core/v1,
// discovery.k8s.io/v1). Immutable once shared.
namespace vipkeeper::objects {

// The kinds the plan reads.
enum class Kind : std::uint8_t { config_map, service, endpoint_slice, endpoints, node, pod };
// "ConfigMap", "Service", ...
std::string_view to_string(Kind kind);

struct ObjectKey {
  Kind kind = Kind::config_map;
  std::string name_space;  // empty for Nodes
  std::string name;

  // "ConfigMap default/vip-configmap", "Node node1"
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const ObjectKey&) const = default;
};

struct ConfigMap {
  std::map<std::string, std::string> data;
  bool operator==(const ConfigMap&) const = default;
};

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
  std::variant<std::uint16_t, std::string> target_port = std::uint16_t{0};  // defaulted to `port` when absent
  bool operator==(const ServicePort&) const = default;
};

// One element of status.loadBalancer.ingress.
struct LoadBalancerIngress {
  std::string ip{};
  std::string hostname{};
  std::string ip_mode{};  // "VIP", "Proxy"; empty: not said, which means VIP
  bool operator==(const LoadBalancerIngress&) const = default;
};

// The spec.loadBalancerClass of Services whose status is this program's to write.
inline constexpr std::string_view load_balancer_class = "vipkeeper.io/vip";

struct Service {
  std::string type = "ClusterIP";
  std::vector<IpAddress> cluster_ips;      // without "None"
  std::vector<IpAddress> other_addresses;  // externalIPs, loadBalancerIP and status.loadBalancer.ingress
  std::vector<ServicePort> ports;
  std::optional<std::uint32_t> affinity_seconds;  // sessionAffinity ClientIP's timeout (default 10800)
  bool publish_not_ready_addresses = false;
  std::map<std::string, std::string> annotations;  // those under vipkeeper.io/ only, prefix removed
  bool own_class = false;                          // type LoadBalancer with load_balancer_class
  std::vector<LoadBalancerIngress> ingress;        // what its status says now; of the own class only
  bool operator==(const Service&) const = default;
};

struct EndpointPort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::optional<std::uint16_t> port;
  bool operator==(const EndpointPort&) const = default;
};

struct Endpoint {
  IpAddress address;  // addresses[0]: only that one has meaning (discovery/v1)
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  bool is_pod = false;         // targetRef names a Pod; an endpoint written by hand may be any host
  std::string node_name = {};  // the Node it runs on; empty: not said
  bool operator==(const Endpoint&) const = default;
};

struct EndpointSlice {
  std::string service;  // label kubernetes.io/service-name; empty: belongs to none
  Family family = Family::ipv4;
  std::vector<EndpointPort> ports;
  std::vector<Endpoint> endpoints;
  bool operator==(const EndpointSlice&) const = default;
};

// core/v1 Endpoints, for clusters without EndpointSlices: each subset as the slice that says the same (two where a
// subset mixes address families). `service` of each is the object's own name.
struct Endpoints {
  std::vector<EndpointSlice> subsets;
  bool operator==(const Endpoints&) const = default;
};

struct Node {
  std::vector<IpAddress> internal_addresses;
  std::vector<IpAddress> external_addresses;
  std::map<std::string, std::string> labels;
  std::vector<IpPrefix> pod_cidrs;
  bool operator==(const Node&) const = default;
};

struct Pod {
  std::string node_name;
  std::map<std::string, std::string> node_selector = {};
  std::vector<IpAddress> addresses = {};  // status.podIPs
  bool operator==(const Pod&) const = default;
};

using Object = std::variant<ConfigMap, Service, EndpointSlice, Node, Pod, Endpoints>;

// One object's new state; null: deleted.
struct ObjectChange {
  ObjectKey key;
  std::shared_ptr<const Object> object;
};

}  // namespace vipkeeper::objects
