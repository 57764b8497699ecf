#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "controller/objects/json.h"

namespace vipkeeper::objects {
namespace {

using nlohmann::json;

IpAddress ip(const char* text) {
  const auto address = IpAddress::parse(text);
  REQUIRE(address);
  return *address;
}

template <class T>
T parsed(const char* text) {
  const auto result = parse_object(json::parse(text));
  if (!result) FAIL(result.error().message);
  REQUIRE(result->has_value());
  REQUIRE(std::holds_alternative<T>((*result)->object));
  return std::get<T>((*result)->object);
}

std::string refusal(const char* text) {
  const auto result = parse_object(json::parse(text));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::invalid_input);
  return result.error().message;
}

TEST_CASE("a ConfigMap keeps its data, a null value being an empty one", "[objects][configmap]") {
  const auto map = parsed<ConfigMap>(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"vips"},
    "data":{"10.0.0.50":"default/web","10.0.0.51":null,"10.0.0.52":""},"binaryData":{"x":"AA=="}})");
  CHECK(map.data ==
        std::map<std::string, std::string>{{"10.0.0.50", "default/web"}, {"10.0.0.51", ""}, {"10.0.0.52", ""}});
}

TEST_CASE("identity: kind, namespace (default when not said, none for a Node), name, uid and version",
          "[objects][metadata]") {
  const auto of = [](const char* text) { return **parse_object(json::parse(text)); };
  const auto map = of(R"({"apiVersion":"v1","kind":"ConfigMap",
    "metadata":{"name":"vips","namespace":"infra","uid":"u1","resourceVersion":"17"}})");
  CHECK(map.key == ObjectKey{Kind::config_map, "infra", "vips"});
  CHECK(map.uid == "u1");
  CHECK(map.resource_version == "17");
  CHECK(map.key.to_string() == "ConfigMap infra/vips");
  CHECK(of(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"}})").key.name_space == "default");
  const auto node = of(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"node1"}})");
  CHECK(node.key == ObjectKey{Kind::node, "", "node1"});
  CHECK(node.key.to_string() == "Node node1");
}

TEST_CASE("kinds that the plan does not read are passed over without an error", "[objects][metadata]") {
  for (const char* text : {R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x"}})",
                           R"({"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":7})",
                           R"({"apiVersion":"v1","kind":"Secret"})"}) {
    INFO(text);
    const auto result = parse_object(json::parse(text));
    REQUIRE(result);
    CHECK_FALSE(result->has_value());
  }
}

TEST_CASE("an item of a typed list is read as the kind of the list", "[objects][metadata]") {
  const auto result = parse_object(Kind::service, json::parse(R"({"metadata":{"name":"web","namespace":"a"}})"));
  REQUIRE(result);
  CHECK(result->key.to_string() == "Service a/web");
}

TEST_CASE("a Service keeps ports, addresses, affinity and its own annotations", "[objects][service]") {
  const auto service = parsed<Service>(R"({"apiVersion":"v1","kind":"Service",
    "metadata":{"name":"web","annotations":{"vipkeeper.io/scheduler":"rr","kubectl.kubernetes.io/x":"y"},
                "managedFields":[{"anything":1}]},
    "spec":{"type":"LoadBalancer","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00::9"],
      "externalIPs":["192.0.2.7","not one"],"loadBalancerIP":"192.0.2.8","sessionAffinity":"ClientIP",
      "publishNotReadyAddresses":true,
      "ports":[{"name":"http","port":80,"targetPort":8080},{"name":"dns","port":53,"protocol":"UDP","targetPort":"dns"},
               {"name":"bare","port":5000},{"name":"old","port":5001,"targetPort":0,"protocol":"SCTP"}]},
    "status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9"},{"hostname":"a.example"}]}}})");
  CHECK(service.type == "LoadBalancer");
  CHECK(service.cluster_ips == std::vector{ip("10.96.0.9"), ip("fd00::9")});
  CHECK(service.other_addresses == std::vector{ip("192.0.2.7"), ip("192.0.2.8"), ip("192.0.2.9")});
  CHECK(service.affinity_seconds == 10800U);
  CHECK(service.publish_not_ready_addresses);
  CHECK(service.annotations == std::map<std::string, std::string>{{"scheduler", "rr"}});
  const std::uint16_t numeric = 8080;
  REQUIRE(service.ports.size() == 4);
  CHECK(service.ports[0] == ServicePort{"http", Protocol::tcp, 80, numeric});
  CHECK(service.ports[1] == ServicePort{"dns", Protocol::udp, 53, std::string("dns")});
  CHECK(service.ports[2] == ServicePort{"bare", Protocol::tcp, 5000, std::uint16_t{5000}});
  CHECK(service.ports[3] == ServicePort{"old", Protocol::sctp, 5001, std::uint16_t{5001}});
}

TEST_CASE("what the status of a Service says is read for the own load balancer class alone", "[objects][service]") {
  const auto with_class = [](const std::string& spec) {
    const std::string text = R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{)" + spec + R"(},
      "status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9","ipMode":"VIP"},{"hostname":"a.example"}]}}})";
    return parsed<Service>(text.c_str());
  };
  const auto own = with_class(R"("type":"LoadBalancer","loadBalancerClass":"vipkeeper.io/vip")");
  CHECK(own.own_class);
  CHECK(own.ingress ==
        std::vector<LoadBalancerIngress>{{.ip = "192.0.2.9", .ip_mode = "VIP"}, {.hostname = "a.example"}});
  for (const char* spec : {R"("type":"LoadBalancer")", R"("type":"LoadBalancer","loadBalancerClass":"example.com/lb")",
                           R"("type":"ClusterIP","loadBalancerClass":"vipkeeper.io/vip")"}) {
    INFO(spec);
    CHECK_FALSE(with_class(spec).own_class);
    CHECK(with_class(spec).ingress.empty());
  }
}

TEST_CASE("a Service without much in it has the API server's defaults", "[objects][service]") {
  CHECK(parsed<Service>(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{}})") == Service{});
  const auto headless = parsed<Service>(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
    "spec":{"clusterIP":"None","sessionAffinity":"None"}})");
  CHECK(headless.cluster_ips.empty());
  CHECK_FALSE(headless.affinity_seconds);
  const auto timed = parsed<Service>(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
    "spec":{"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":90}}}})");
  CHECK(timed.affinity_seconds == 90U);
}

TEST_CASE("an EndpointSlice takes absent conditions as ready and serving, and only the first address",
          "[objects][endpointslice][discovery-v1]") {
  const auto slice = parsed<EndpointSlice>(R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
    "metadata":{"name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
    "ports":[{"name":"http","port":8080,"protocol":"TCP"},{"name":null,"port":null,"protocol":null}],
    "endpoints":[{"addresses":["10.2.0.5","10.2.0.6"]},
      {"addresses":["10.2.0.7"],"conditions":{"ready":false,"serving":true,"terminating":true},
       "targetRef":{"kind":"Pod","name":"p"}},
      {"addresses":["10.2.0.8"],"conditions":{"ready":null}}]})");
  CHECK(slice.service == "web");
  CHECK(slice.family == Family::ipv4);
  REQUIRE(slice.ports.size() == 2);
  CHECK(slice.ports[0] == EndpointPort{"http", Protocol::tcp, std::uint16_t{8080}});
  CHECK(slice.ports[1] == EndpointPort{"", Protocol::tcp, std::nullopt});
  REQUIRE(slice.endpoints.size() == 3);
  CHECK(slice.endpoints[0] == Endpoint{ip("10.2.0.5"), true, true, false, false});
  CHECK(slice.endpoints[1] == Endpoint{ip("10.2.0.7"), false, true, true, true});
  CHECK(slice.endpoints[2] == Endpoint{ip("10.2.0.8"), true, true, false, false});
}

TEST_CASE("an EndpointSlice of names holds nothing that could be forwarded to", "[objects][endpointslice]") {
  const auto slice = parsed<EndpointSlice>(R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
    "metadata":{"name":"x","labels":{"kubernetes.io/service-name":"web"}},"addressType":"FQDN",
    "endpoints":[{"addresses":["a.example"]}]})");
  CHECK(slice.service.empty());
  CHECK(slice.endpoints.empty());
}

TEST_CASE("Endpoints become one slice a subset and family, not ready ones included", "[objects][endpoints]") {
  const auto endpoints = parsed<Endpoints>(R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"web"},
    "subsets":[{"addresses":[{"ip":"10.2.0.5","targetRef":{"kind":"Pod"}},{"ip":"fd00::5"}],
                "notReadyAddresses":[{"ip":"10.2.0.6"}],"ports":[{"port":8080}]},
               {"addresses":[{"ip":"10.2.0.9"}],"ports":[{"port":9090,"name":"x"}]}]})");
  REQUIRE(endpoints.subsets.size() == 3);
  CHECK(endpoints.subsets[0].service == "web");
  CHECK(endpoints.subsets[0].endpoints ==
        std::vector<Endpoint>{{ip("10.2.0.5"), true, true, false, true}, {ip("10.2.0.6"), false, false, false, false}});
  CHECK(endpoints.subsets[1].family == Family::ipv6);
  CHECK(endpoints.subsets[1].ports == endpoints.subsets[0].ports);
  CHECK(endpoints.subsets[2].ports == std::vector<EndpointPort>{{"x", Protocol::tcp, std::uint16_t{9090}}});
}

TEST_CASE("a Node keeps addresses by type, labels and pod ranges", "[objects][node]") {
  const auto node = parsed<Node>(R"({"apiVersion":"v1","kind":"Node",
    "metadata":{"name":"n1","labels":{"type":"worker"}},"spec":{"podCIDR":"10.2.1.0/24","podCIDRs":["10.2.1.0/24"]},
    "status":{"addresses":[{"type":"Hostname","address":"n1"},{"type":"InternalIP","address":"10.0.0.4"},
      {"type":"ExternalIP","address":"198.51.100.4"}]}})");
  CHECK(node.labels == std::map<std::string, std::string>{{"type", "worker"}});
  CHECK(node.internal_addresses == std::vector{ip("10.0.0.4")});
  CHECK(node.external_addresses == std::vector{ip("198.51.100.4")});
  CHECK(node.pod_cidrs == std::vector{*IpPrefix::parse("10.2.1.0/24")});
}

TEST_CASE("a Pod keeps its node, its nodeSelector and its addresses", "[objects][pod]") {
  const auto pod = parsed<Pod>(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},
    "spec":{"nodeName":"n1","nodeSelector":{"type":"worker"}},"status":{"podIPs":[{"ip":"10.2.1.7"}]}})");
  CHECK(pod == Pod{"n1", {{"type", "worker"}}, {ip("10.2.1.7")}});
}

TEST_CASE("a wrong field is refused with its path, what it is and what it must be", "[objects][errors]") {
  struct Row {
    const char* document;
    const char* message;
  };
  const Row rows[] = {
      {R"([])", R"(the object: must be a mapping, is a list ([]))"},
      {R"({"kind":"Service"})", "apiVersion: missing"},
      {R"({"apiVersion":"v1"})", "kind: missing"},
      {R"({"apiVersion":"v1","kind":"Service"})", "Service: metadata.name: missing"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a b"}})",
       R"(Service default/a b: metadata.name: "a b" is not a name that Kubernetes gives)"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"x\n"}})",
       "Service x /a: metadata.namespace: \"x \" is not a name that Kubernetes gives"},
      {R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"10.0.0.50":80}})",
       R"(ConfigMap default/m: data["10.0.0.50"]: must be text, is a number (80))"},
      {R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":["x"]})",
       R"(ConfigMap default/m: data: must be a mapping, is a list (["x"]))"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80},{"port":70000}]}})",
       "Service default/a: spec.ports[1].port: must be 1 to 65535, is 70000"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"name":"x"}]}})",
       "Service default/a: spec.ports[0].port: missing"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":1,"protocol":"tcp"}]}})",
       R"(Service default/a: spec.ports[0].protocol: must be TCP, UDP or SCTP, is "tcp")"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80.5}]}})",
       "Service default/a: spec.ports[0].port: must be a whole number, is 80.5"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80,"name":"a b"}]}})",
       R"(Service default/a: spec.ports[0].name: "a b" is not a name that Kubernetes gives)"},
      {R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"10.0.0.300"}})",
       R"(Service default/a: spec.clusterIP: must be an IP address, is "10.0.0.300")"},
      {R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s"}})",
       "EndpointSlice default/s: addressType: missing"},
      {R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s"},"addressType":"IPv5"})",
       R"(EndpointSlice default/s: addressType: must be IPv4, IPv6 or FQDN, is "IPv5")"},
      {R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s"},"addressType":"IPv4",
          "endpoints":[{"addresses":["10.2.0.1"]},{"addresses":[]}]})",
       "EndpointSlice default/s: endpoints[1].addresses: must hold an address"},
      {R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s"},"addressType":"IPv4",
          "endpoints":[{"addresses":["fd00::1"]}]})",
       "EndpointSlice default/s: endpoints[0].addresses[0]: is not of the slice's addressType"},
      {R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s"},"addressType":"IPv4",
          "endpoints":[{"addresses":["10.2.0.1"],"conditions":{"ready":"yes"}}]})",
       R"(EndpointSlice default/s: endpoints[0].conditions.ready: must be true or false, is text ("yes"))"},
      {R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"e"},"subsets":[{"addresses":[{"hostname":"x"}]}]})",
       "Endpoints default/e: subsets[0].addresses[0].ip: missing"},
      // A message is one line, whatever was written.
      {R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n\nMASTER"}})",
       R"(Node n MASTER: metadata.name: "n MASTER" is not a name that Kubernetes gives)"},
      {R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a\n":7}})",
       R"(ConfigMap default/c: data["a "]: must be text, is a number (7))"},
      {R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"spec":{"podCIDRs":["10.2.0.0/33"]}})",
       R"(Node n: spec.podCIDRs[0]: must be a CIDR, is "10.2.0.0/33")"},
      {R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"status":{"addresses":[{"type":"InternalIP",
          "address":"n.example"}]}})",
       R"(Node n: status.addresses[0].address: must be an IP address, is "n.example")"},
  };
  for (const auto& row : rows) {
    INFO(row.document);
    CHECK(refusal(row.document) == row.message);
  }
}

TEST_CASE("fields the plan does not read may be anything", "[objects][errors]") {
  CHECK(parsed<Service>(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a","labels":7,"managedFields":"x"},
    "spec":{"selector":[1,2],"newField":{"a":null}},"status":{"conditions":3}})") == Service{});
}

}  // namespace
}  // namespace vipkeeper::objects
