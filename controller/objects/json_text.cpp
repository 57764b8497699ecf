// The structs of objects.h -> JSON, the inverse of json.cpp: a law test holds the two together. By hand and not by way
// of a document, because 100,000 endpoints are written every few seconds while they change.
//
// Each struct is taken apart by a structured binding, so that a field that is added does not compile until it is
// written, too.

#include "controller/objects/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace vipkeeper::objects {

namespace {

// Members of an object, elements of an array: the commas between them.
class List {
 public:
  List(std::string& to, char open, char close) : to_(to), close_(close) { to_ += open; }
  ~List() { to_ += close_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  std::string& next() {
    if (any_) to_ += ',';
    any_ = true;
    return to_;
  }
  std::string& member(std::string_view name) { return next().append("\"").append(name).append("\":"); }
  void text(std::string_view name, std::string_view value) { append_json_string(member(name), value); }
  template <class T>
  void number(std::string_view name, T value) {
    fmt::format_to(std::back_inserter(member(name)), "{}", value);
  }

 private:
  std::string& to_;
  char close_;
  bool any_ = false;
};

struct Braces : List {
  explicit Braces(std::string& to) : List(to, '{', '}') {}
};
struct Brackets : List {
  explicit Brackets(std::string& to) : List(to, '[', ']') {}
};

template <class Map>
void append_map(std::string& to, const Map& map, std::string_view prefix = {}) {
  Braces object(to);
  for (const auto& [name, value] : map) {
    append_json_string(object.next(), std::string(prefix) + name);
    to += ':';
    append_json_string(to, value);
  }
}

template <class List>
void append_texts(std::string& to, const List& list) {
  Brackets array(to);
  for (const auto& one : list) append_json_string(array.next(), one.to_string());
}

std::string_view protocol_word(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "TCP";
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
  }
  return "TCP";
}

// What an object says beside its metadata, and the maps within that.
struct Body {
  std::string& to;
  Braces& root;
  Braces& metadata;
};

void append(Body& body, const ConfigMap& map) {
  const auto& [data] = map;
  append_map(body.root.member("data"), data);
}

void append_port(std::string& to, const ServicePort& value) {
  const auto& [name, protocol, port, target_port] = value;
  Braces object(to);
  if (!name.empty()) object.text("name", name);
  object.text("protocol", protocol_word(protocol));
  object.number("port", port);
  if (const auto* number = std::get_if<std::uint16_t>(&target_port)) object.number("targetPort", *number);
  if (const auto* text = std::get_if<std::string>(&target_port)) object.text("targetPort", *text);
}

void append_ingress(std::string& to, const std::vector<LoadBalancerIngress>& ingress) {
  Brackets list(to);
  for (const auto& [ip, hostname, ip_mode] : ingress) {
    Braces object(list.next());
    if (!ip.empty()) object.text("ip", ip);
    if (!hostname.empty()) object.text("hostname", hostname);
    if (!ip_mode.empty()) object.text("ipMode", ip_mode);
  }
}

void append(Body& body, const Service& service) {
  const auto& [type, cluster_ips, other_addresses, ports, affinity, publish, annotations, own_class, ingress] = service;
  if (!annotations.empty()) append_map(body.metadata.member("annotations"), annotations, "vipkeeper.io/");
  // The reader counts what the status says among the other addresses, as the last of them.
  const auto shown =
      std::ranges::count_if(ingress, [](const auto& one) { return IpAddress::parse(one.ip).has_value(); });
  const std::vector<IpAddress> external(other_addresses.begin(), other_addresses.end() - shown);
  {
    Braces spec(body.root.member("spec"));
    spec.text("type", type);
    if (!cluster_ips.empty()) append_texts(spec.member("clusterIPs"), cluster_ips);
    if (!external.empty()) append_texts(spec.member("externalIPs"), external);
    {
      Brackets list(spec.member("ports"));
      for (const auto& port : ports) append_port(list.next(), port);
    }
    if (affinity) {
      spec.text("sessionAffinity", "ClientIP");
      fmt::format_to(std::back_inserter(spec.member("sessionAffinityConfig")),
                     R"({{"clientIP":{{"timeoutSeconds":{}}}}})", *affinity);
    }
    if (publish) spec.member("publishNotReadyAddresses").append("true");
    if (own_class) spec.text("loadBalancerClass", load_balancer_class);
  }
  if (ingress.empty()) return;
  Braces status(body.root.member("status"));
  Braces balancer(status.member("loadBalancer"));
  append_ingress(balancer.member("ingress"), ingress);
}

void append_ports(std::string& to, const std::vector<EndpointPort>& ports) {
  Brackets list(to);
  for (const auto& [name, protocol, port] : ports) {
    Braces object(list.next());
    if (!name.empty()) object.text("name", name);
    object.text("protocol", protocol_word(protocol));
    if (port) object.number("port", *port);
  }
}

constexpr std::string_view a_pod = R"({"kind":"Pod"})";

void append_endpoint(std::string& to, const Endpoint& endpoint) {
  const auto& [address, ready, serving, terminating, is_pod, node_name] = endpoint;
  Braces object(to);
  object.member("addresses").append("[\"").append(address.to_string()).append("\"]");
  if (!ready || !serving || terminating) {
    Braces conditions(object.member("conditions"));
    if (!ready) conditions.member("ready").append("false");
    if (!serving) conditions.member("serving").append("false");
    if (terminating) conditions.member("terminating").append("true");
  }
  if (is_pod) object.member("targetRef").append(a_pod);
  if (!node_name.empty()) object.text("nodeName", node_name);
}

void append(Body& body, const EndpointSlice& slice) {
  const auto& [service, family, ports, endpoints] = slice;
  if (!service.empty()) {
    Braces labels(body.metadata.member("labels"));
    labels.text("kubernetes.io/service-name", service);
  }
  body.root.text("addressType", family == Family::ipv6 ? "IPv6" : "IPv4");
  append_ports(body.root.member("ports"), ports);
  Brackets list(body.root.member("endpoints"));
  for (const auto& endpoint : endpoints) append_endpoint(list.next(), endpoint);
}

// Each slice as the subset that it was: its ready addresses come first in both.
void append(Body& body, const Endpoints& value) {
  const auto& [subsets] = value;
  Brackets list(body.root.member("subsets"));
  for (const auto& slice : subsets) {
    Braces subset(list.next());
    for (const bool ready : {true, false}) {
      Brackets addresses(subset.member(ready ? "addresses" : "notReadyAddresses"));
      for (const auto& endpoint : slice.endpoints) {
        if (endpoint.ready != ready) continue;
        Braces object(addresses.next());
        object.text("ip", endpoint.address.to_string());
        if (endpoint.is_pod) object.member("targetRef").append(a_pod);
        if (!endpoint.node_name.empty()) object.text("nodeName", endpoint.node_name);
      }
    }
    append_ports(subset.member("ports"), slice.ports);
  }
}

void append(Body& body, const Node& node) {
  const auto& [internal, external, labels, pod_cidrs] = node;
  if (!labels.empty()) append_map(body.metadata.member("labels"), labels);
  if (!pod_cidrs.empty()) {
    Braces spec(body.root.member("spec"));
    append_texts(spec.member("podCIDRs"), pod_cidrs);
  }
  Braces status(body.root.member("status"));
  Brackets list(status.member("addresses"));
  const auto add = [&](const std::vector<IpAddress>& addresses, std::string_view type) {
    for (const auto& address : addresses) {
      Braces object(list.next());
      object.text("type", type);
      object.text("address", address.to_string());
    }
  };
  add(internal, "InternalIP");
  add(external, "ExternalIP");
}

void append(Body& body, const Pod& pod) {
  const auto& [node_name, node_selector, addresses] = pod;
  {
    Braces spec(body.root.member("spec"));
    if (!node_name.empty()) spec.text("nodeName", node_name);
    if (!node_selector.empty()) append_map(spec.member("nodeSelector"), node_selector);
  }
  if (addresses.empty()) return;
  Braces status(body.root.member("status"));
  Brackets ips(status.member("podIPs"));
  for (const auto& address : addresses) {
    Braces object(ips.next());
    object.text("ip", address.to_string());
  }
}

}  // namespace

void append_json_string(std::string& to, std::string_view text) {
  const bool plain =
      std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain) {
    to.append("\"").append(text).append("\"");
  } else {
    to += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
}

void append_json(std::string& to, const ObjectKey& key, const Object& object) {
  // Metadata comes last, so that an object can add to it while it says the rest.
  std::string metadata_text;
  {
    Braces root(to);
    {
      Braces metadata(metadata_text);
      metadata.text("name", key.name);
      if (!key.name_space.empty()) metadata.text("namespace", key.name_space);
      Body body{to, root, metadata};
      std::visit([&](const auto& value) { append(body, value); }, object);
    }
    root.member("metadata").append(metadata_text);
  }
}

}  // namespace vipkeeper::objects
