// JSON of the API server (or YAML that was turned into the same document) -> the structs of objects.h.
//
// Pure: a document comes in, a value or one error goes out. It runs on the thread of the source that read the document,
// once for each object of a list and each event of a watch, so it touches only the fields that the plan reads and never
// copies the document; managedFields and everything else that fills real objects is passed over.
//
// What is strict and what is not. The API server has validated what comes from it, a directory of manifests has been
// validated by nobody, and both take this way. So every field that the plan reads must have its type and range, and the
// error says where ("spec.ports[1].port: must be 1 to 65535, is 70000"); the caller keeps the object's last good form.
// Fields that the plan does not read may be anything, since the API grows. Absent and null are the same everywhere, and
// the defaults are the API server's own: protocol TCP, targetPort the port, ready and serving true (discovery/v1),
// sessionAffinity ClientIP 10800 s. Addresses that are only compared with VIPs (externalIPs, loadBalancerIP, ingress)
// are dropped when they are no addresses: the API server does not check all of them.
//
// Names must be ones that Kubernetes could have given, because they end in the text of a configuration.

#include "controller/objects/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/objects/json_field.h"

namespace vipkeeper::objects {

namespace {

constexpr std::string_view annotation_prefix = "vipkeeper.io/";
constexpr std::string_view service_name_label = "kubernetes.io/service-name";

// RFC 1123 subdomain, as metadata.name of every kind read here; checked by its characters alone.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
}

std::string read_name(const JsonField& field) {
  std::string name = field.required_text();
  if (!name.empty() && !is_name(name)) field.fail(fmt::format("\"{}\" is not a name that Kubernetes gives", name));
  return name;
}

Protocol read_protocol(const JsonField& field) {
  const std::string text = field.text("TCP");
  if (text == "TCP") return Protocol::tcp;
  if (text == "UDP") return Protocol::udp;
  if (text == "SCTP") return Protocol::sctp;
  field.fail(fmt::format("must be TCP, UDP or SCTP, is \"{}\"", text));
  return Protocol::tcp;
}

std::optional<std::uint16_t> read_port(const JsonField& field) {
  const auto number = field.number(1, 65535);
  return number ? std::optional(static_cast<std::uint16_t>(*number)) : std::nullopt;
}

void append_address(const JsonField& field, std::vector<IpAddress>& to) {
  if (const auto address = field.address()) to.push_back(*address);
}

void append_if_address(const JsonField& field, std::vector<IpAddress>& to) {
  if (!field.is_text()) return;
  if (const auto address = IpAddress::parse(field.text())) to.push_back(*address);
}

ConfigMap read_config_map(const JsonField& root) { return {.data = root.member("data").text_map()}; }

ServicePort read_service_port(const JsonField& field) {
  ServicePort port;
  const auto name = field.member("name");
  if (!name.text().empty()) port.name = read_name(name);
  port.protocol = read_protocol(field.member("protocol"));
  const auto number_field = field.member("port");
  if (!number_field.present()) number_field.fail("missing");
  port.port = read_port(number_field).value_or(0);
  const auto target = field.member("targetPort");
  if (target.is_text()) {
    port.target_port = target.required_text();
  } else {
    // The API server writes 0 for "not said" in old objects.
    const auto number = target.number(0, 65535).value_or(0);
    port.target_port = number == 0 ? port.port : static_cast<std::uint16_t>(number);
  }
  return port;
}

void read_service_addresses(const JsonField& root, const JsonField& spec, Service& service) {
  const auto add_cluster_ip = [&](const JsonField& field) {
    const std::string text = field.text();
    if (!text.empty() && text != "None") append_address(field, service.cluster_ips);
  };
  const auto cluster_ips = spec.member("clusterIPs");
  cluster_ips.each(add_cluster_ip);
  if (!cluster_ips.present()) add_cluster_ip(spec.member("clusterIP"));
  const auto external = spec.member("externalIPs");
  external.each([&](const JsonField& field) { append_if_address(field, service.other_addresses); });
  append_if_address(spec.member("loadBalancerIP"), service.other_addresses);
  const auto status = root.member("status");
  const auto balancer = status.member("loadBalancer");
  const auto ingress = balancer.member("ingress");
  ingress.each([&](const JsonField& field) { append_if_address(field.member("ip"), service.other_addresses); });
}

void read_ingress(const JsonField& root, Service& service) {
  const auto status = root.member("status");
  const auto balancer = status.member("loadBalancer");
  const auto ingress = balancer.member("ingress");
  ingress.each([&](const JsonField& field) {
    service.ingress.push_back({.ip = field.member("ip").text(),
                               .hostname = field.member("hostname").text(),
                               .ip_mode = field.member("ipMode").text()});
  });
}

Service read_service(const JsonField& root, const JsonField& metadata) {
  Service service;
  const auto spec = root.member("spec");
  service.type = spec.member("type").text("ClusterIP");
  read_service_addresses(root, spec, service);
  const auto ports = spec.member("ports");
  ports.each([&](const JsonField& field) { service.ports.push_back(read_service_port(field)); });
  if (spec.member("sessionAffinity").text() == "ClientIP") {
    const auto config = spec.member("sessionAffinityConfig");
    const auto client_ip = config.member("clientIP");
    const auto seconds = client_ip.member("timeoutSeconds").number(1, 86400).value_or(10800);
    service.affinity_seconds = static_cast<std::uint32_t>(seconds);
  }
  service.own_class = service.type == "LoadBalancer" && spec.member("loadBalancerClass").text() == load_balancer_class;
  if (service.own_class) read_ingress(root, service);
  service.publish_not_ready_addresses = spec.member("publishNotReadyAddresses").flag(false);
  for (auto& [name, value] : metadata.member("annotations").text_map()) {
    if (name.starts_with(annotation_prefix)) service.annotations.emplace(name.substr(annotation_prefix.size()), value);
  }
  return service;
}

EndpointPort read_endpoint_port(const JsonField& field) {
  return {.name = field.member("name").text(),
          .protocol = read_protocol(field.member("protocol")),
          .port = read_port(field.member("port"))};
}

bool names_a_pod(const JsonField& endpoint) {
  const auto target = endpoint.member("targetRef");
  return target.member("kind").text() == "Pod";
}

void read_endpoint(const JsonField& field, EndpointSlice& slice) {
  const auto addresses = field.member("addresses");
  std::optional<IpAddress> first;
  addresses.each([&](const JsonField& address) {
    if (first) return;
    first = address.address();
    if (first && first->family() != slice.family) address.fail("is not of the slice's addressType");
  });
  if (!first) {
    addresses.fail("must hold an address");
    return;
  }
  const auto conditions = field.member("conditions");
  slice.endpoints.push_back({.address = *first,
                             .ready = conditions.member("ready").flag(true),
                             .serving = conditions.member("serving").flag(true),
                             .terminating = conditions.member("terminating").flag(false),
                             .is_pod = names_a_pod(field),
                             .node_name = field.member("nodeName").text()});
}

EndpointSlice read_endpoint_slice(const JsonField& root, const JsonField& metadata) {
  EndpointSlice slice;
  const auto type_field = root.member("addressType");
  const std::string type = type_field.required_text();
  // Names instead of addresses: nothing that IPVS could forward to.
  if (type == "FQDN") return slice;
  if (type != "IPv4" && type != "IPv6") {
    type_field.fail(fmt::format("must be IPv4, IPv6 or FQDN, is \"{}\"", type));
    return slice;
  }
  slice.family = type == "IPv6" ? Family::ipv6 : Family::ipv4;
  const auto labels = metadata.member("labels");
  slice.service = labels.member(service_name_label).text();
  const auto ports = root.member("ports");
  ports.each([&](const JsonField& field) { slice.ports.push_back(read_endpoint_port(field)); });
  const auto endpoints = root.member("endpoints");
  endpoints.each([&](const JsonField& field) { read_endpoint(field, slice); });
  return slice;
}

void read_subset(const JsonField& field, const std::string& service, Endpoints& result) {
  EndpointSlice slices[] = {{.service = service, .family = Family::ipv4, .ports = {}, .endpoints = {}},
                            {.service = service, .family = Family::ipv6, .ports = {}, .endpoints = {}}};
  const auto add = [&](const JsonField& list, bool ready) {
    list.each([&](const JsonField& entry) {
      const auto ip = entry.member("ip");
      if (!ip.present()) ip.fail("missing");
      const auto address = ip.address();
      if (!address) return;
      slices[address->is_v4() ? 0 : 1].endpoints.push_back({.address = *address,
                                                            .ready = ready,
                                                            .serving = ready,
                                                            .terminating = false,
                                                            .is_pod = names_a_pod(entry),
                                                            .node_name = entry.member("nodeName").text()});
    });
  };
  add(field.member("addresses"), true);
  add(field.member("notReadyAddresses"), false);
  std::vector<EndpointPort> ports;
  field.member("ports").each([&](const JsonField& port) { ports.push_back(read_endpoint_port(port)); });
  for (auto& slice : slices) {
    if (slice.endpoints.empty()) continue;
    slice.ports = ports;
    result.subsets.push_back(std::move(slice));
  }
}

Endpoints read_endpoints(const JsonField& root, const std::string& name) {
  Endpoints result;
  const auto subsets = root.member("subsets");
  subsets.each([&](const JsonField& field) { read_subset(field, name, result); });
  return result;
}

Node read_node(const JsonField& root, const JsonField& metadata) {
  Node node;
  node.labels = metadata.member("labels").text_map();
  const auto spec = root.member("spec");
  const auto add_cidr = [&](const JsonField& field) {
    const std::string text = field.text();
    if (text.empty()) return;
    if (const auto prefix = IpPrefix::parse(text)) {
      node.pod_cidrs.push_back(*prefix);
    } else {
      field.fail(fmt::format("must be a CIDR, is \"{}\"", text));
    }
  };
  const auto cidrs = spec.member("podCIDRs");
  cidrs.each(add_cidr);
  if (!cidrs.present()) add_cidr(spec.member("podCIDR"));
  const auto status = root.member("status");
  const auto addresses = status.member("addresses");
  addresses.each([&](const JsonField& field) {
    const std::string type = field.member("type").text();
    if (type == "InternalIP") append_address(field.member("address"), node.internal_addresses);
    if (type == "ExternalIP") append_address(field.member("address"), node.external_addresses);
  });
  return node;
}

Pod read_pod(const JsonField& root) {
  Pod pod;
  const auto spec = root.member("spec");
  pod.node_name = spec.member("nodeName").text();
  pod.node_selector = spec.member("nodeSelector").text_map();
  const auto status = root.member("status");
  const auto ips = status.member("podIPs");
  ips.each([&](const JsonField& field) { append_if_address(field.member("ip"), pod.addresses); });
  return pod;
}

// Names and values of a document nobody has validated may hold anything; a message is a line of a log.
std::string one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

Object read_object(const ObjectKey& key, const JsonField& root, const JsonField& metadata) {
  switch (key.kind) {
    case Kind::config_map:
      return read_config_map(root);
    case Kind::service:
      return read_service(root, metadata);
    case Kind::endpoint_slice:
      return read_endpoint_slice(root, metadata);
    case Kind::endpoints:
      return read_endpoints(root, key.name);
    case Kind::node:
      return read_node(root, metadata);
    case Kind::pod:
      return read_pod(root);
  }
  return ConfigMap{};
}

}  // namespace

std::optional<Kind> kind_of(std::string_view api_version, std::string_view kind) {
  if (api_version.starts_with("discovery.k8s.io/")) {
    return kind == "EndpointSlice" ? std::optional(Kind::endpoint_slice) : std::nullopt;
  }
  if (api_version != "v1") return std::nullopt;
  for (const Kind known : {Kind::config_map, Kind::service, Kind::endpoints, Kind::node, Kind::pod}) {
    if (kind == to_string(known)) return known;
  }
  return std::nullopt;
}

Result<ParsedObject> parse_object(Kind kind, const nlohmann::json& json) {
  std::optional<std::string> failed;
  const JsonField root(json, failed);
  const auto metadata = root.member("metadata");
  ParsedObject parsed;
  parsed.key.kind = kind;
  parsed.key.name = read_name(metadata.member("name"));
  if (kind != Kind::node) {
    const auto name_space = metadata.member("namespace");
    parsed.key.name_space = name_space.text().empty() ? "default" : read_name(name_space);
  }
  parsed.uid = metadata.member("uid").text();
  parsed.resource_version = metadata.member("resourceVersion").text();
  if (!failed) parsed.object = read_object(parsed.key, root, metadata);
  if (!failed) return parsed;
  const std::string who = parsed.key.name.empty() ? std::string(to_string(kind)) : parsed.key.to_string();
  return failure(ErrorCode::invalid_input, one_line(fmt::format("{}: {}", who, *failed)));
}

Result<std::optional<ParsedObject>> parse_object(const nlohmann::json& json) {
  std::optional<std::string> failed;
  const JsonField root(json, failed);
  const std::string api_version = root.member("apiVersion").required_text();
  const std::string kind_name = root.member("kind").required_text();
  if (failed) return failure(ErrorCode::invalid_input, one_line(std::move(*failed)));
  const auto kind = kind_of(api_version, kind_name);
  if (!kind) return std::nullopt;
  auto parsed = parse_object(*kind, json);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  return std::optional(std::move(*parsed));
}

}  // namespace vipkeeper::objects
