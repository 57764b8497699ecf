#pragma once

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/controller/plan/world.h"

// A small cluster whose objects come, change and go at random, small enough that everything meets everything: VIPs that
// are a Node's, a pod's or a Service's address, entries that claim each other's ports, Services that move between
// good and bad.
namespace vipkeeper::plan::world {

class Churn {
 public:
  explicit Churn(std::uint64_t seed) : random_(seed) {}

  // One to three changes.
  std::vector<objects::ObjectChange> next() {
    std::vector<objects::ObjectChange> changes;
    for (unsigned i = 0; i <= below(3); ++i) changes.push_back(change());
    return changes;
  }

  std::vector<HostInterface> interfaces() {
    std::vector<HostInterface> result = {{"lo", cidr("127.0.0.1/8")}};
    if (below(5) != 0) result.push_back({"eth0", cidr("10.0.0.4/24")});
    if (below(2) != 0) result.push_back({"eth1", cidr(pick<std::string_view>({"10.0.0.60/28", "10.0.1.1/24"}))});
    if (below(2) != 0) result.push_back({"eth0", cidr("10.0.0.50/32")});
    if (below(3) == 0) result.push_back({"eth9", cidr("0.0.0.0/32")});
    return result;
  }

  unsigned below(unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random_); }

 private:
  template <class T>
  std::string pick(std::initializer_list<T> choices) {
    return std::string(*(choices.begin() + below(static_cast<unsigned>(choices.size()))));
  }

  std::string vip() { return pick<std::string_view>({"10.0.0.50", "10.0.0.51", "10.0.0.52", "10.0.0.5", "10.0.0.63"}); }
  std::string name() { return pick<std::string_view>({"a", "b", "c"}); }
  std::string number() { return std::to_string(below(4)); }

  objects::ObjectChange change() {
    switch (below(12)) {
      case 0:
      case 1:
        return config_map();
      case 2:
      case 3:
        return service_change();
      case 4:
        return endpoints();
      case 5:
        return node_change();
      case 6:
        return pod();
      default:
        return slice_change();
    }
  }

  objects::ObjectChange config_map() {
    if (below(12) == 0) return gone(objects::Kind::config_map, "default/vips");
    std::map<std::string, std::string> data;
    for (unsigned i = 0; i < below(5); ++i) {
      const auto key = pick<std::string_view>({"", "", "", " "}) + vip();
      data[key] = pick<std::string_view>({"", "default/a", "default/b", "default/c", "default/a:DR", "default/b:PROXY",
                                          "default/c:XNATX", "default/a:nat", "nonsense", "other/a", "a/b/c"});
    }
    for (unsigned i = 0; i < below(4); ++i) {
      data[pick<std::string_view>({"a", "web", "Z", "10.0.0.50", "10.0.0.51"})] = extended();
    }
    if (below(6) == 0) data["README"] = "hello";
    return entries(data);
  }

  // An entry of the extended form; one in six is bad.
  std::string extended() {
    if (below(6) == 0) {
      return pick<std::string_view>({"{", "addresses: []", "adresses: 10.0.0.50", "addresses: 127.0.0.1",
                                     "addresses: 10.0.0.50\nservices: [{service: a}]"});
    }
    std::string text = "addresses: [" + extended_address();
    if (below(3) == 0) text += ", " + extended_address();
    if (below(4) == 0) text += ", \"2001:db8::" + number() + "\"";
    text += "]\n";
    if (below(3) == 0) text += "interface: " + pick<std::string_view>({"eth0", "eth1", "eth9"}) + "\n";
    if (below(3) == 0) return text;
    text += "services:\n";
    for (unsigned i = 0; i <= below(3); ++i) text += "- {service: default/" + name() + extended_options() + "}\n";
    return text;
  }

  std::string extended_address() { return vip() + pick<std::string_view>({"", "", "/24", "/26", "/31"}); }

  std::string extended_options() {
    std::string text;
    if (below(3) == 0) text += pick<std::string_view>({", ports: [p0]", ", ports: 80", ", ports: [81/udp, p1]"});
    if (below(4) == 0) text += pick<std::string_view>({", method: DR", ", method: TUN", ", method: PROXY"});
    if (below(4) == 0) text += pick<std::string_view>({", scheduler: mh", ", scheduler: rr"});
    if (below(4) == 0) text += pick<std::string_view>({", persistence: 30m", ", persistence: 0"});
    if (below(6) == 0) text += pick<std::string_view>({", masquerade: always", ", masquerade: never"});
    if (below(4) == 0) {
      text += pick<std::string_view>({", healthCheck: none", ", healthCheck: {type: http, path: /x}",
                                      ", healthCheck: {port: 8081, interval: 1m, retries: 3, retryInterval: 2s}"});
    }
    return text;
  }

  objects::ObjectChange service_change() {
    const auto of = "default/" + name();
    if (below(4) == 0) return gone(objects::Kind::service, of);
    auto result = service({});
    for (unsigned i = 0; i < below(4); ++i) {
      const auto protocol = below(3) == 0 ? Protocol::udp : Protocol::tcp;
      result.ports.push_back(
          port(static_cast<std::uint16_t>(80 + below(3)), 8080, "p" + std::to_string(below(2)), protocol));
    }
    if (below(5) == 0) result.type = "ExternalName";
    if (below(4) == 0) result.annotations["scheduler"] = pick<std::string_view>({"rr", "best"});
    if (below(6) == 0) result.annotations["method"] = pick<std::string_view>({"DR", "TUN"});
    if (below(6) == 0) result.annotations["health-check"] = pick<std::string_view>({"none", "{interval: 9s}", "udp"});
    if (below(3) == 0) result.cluster_ips = {ip(vip())};
    if (below(5) == 0) result.affinity_seconds = 10800;
    if (below(3) == 0) {
      result.type = "LoadBalancer";
      result.own_class = true;
      if (below(2) == 0) result.ingress.push_back({.ip = vip(), .ip_mode = "VIP"});
    }
    return is(of, result);
  }

  objects::EndpointSlice some_slice(const std::string& of) {
    objects::EndpointSlice result;
    result.service = of;
    for (unsigned i = 0; i < below(3); ++i) {
      auto entry = on(static_cast<std::uint16_t>(8080 + below(2)), "p" + std::to_string(below(2)));
      if (below(5) == 0) entry.port.reset();
      if (below(4) == 0) entry.protocol = Protocol::udp;
      result.ports.push_back(entry);
    }
    for (unsigned i = 0; i < below(4); ++i) {
      const auto address = below(8) == 0 ? vip() : "10.2.0." + number();
      result.endpoints.push_back({.address = ip(address),
                                  .ready = below(2) == 0,
                                  .serving = below(3) != 0,
                                  .terminating = below(3) == 0,
                                  .is_pod = below(2) == 0,
                                  .node_name = "n" + std::to_string(below(3))});
    }
    return result;
  }

  objects::ObjectChange slice_change() {
    const auto of = "default/s" + number();
    if (below(4) == 0) return gone(objects::Kind::endpoint_slice, of);
    return is(of, some_slice(below(8) == 0 ? "" : name()));
  }

  objects::ObjectChange endpoints() {
    const auto of = name();
    if (below(3) == 0) return gone(objects::Kind::endpoints, "default/" + of);
    return is("default/" + of, objects::Endpoints{.subsets = {some_slice(of), some_slice(of)}});
  }

  objects::ObjectChange node_change() {
    const auto of = "n" + number();
    if (below(4) == 0) return gone(objects::Kind::node, of);
    auto result = node(of == "n1" ? "10.0.0.4" : "10.0.0." + std::to_string(5 + below(3)));
    // A kubelet that reports what its host holds, first, last or alone.
    auto& internal = result.internal_addresses;
    if (below(3) == 0) internal.insert(internal.begin() + below(2), ip(vip()));
    if (below(6) == 0) internal.erase(internal.begin());
    if (below(4) == 0) result.external_addresses = {ip(vip())};
    if (below(3) == 0) result.labels["type"] = "edge";
    if (below(3) == 0)
      result.pod_cidrs = {cidr(pick<std::string_view>({"10.0.0.53/29", "10.0.0.51/32", "10.2.0.0/16"}))};
    return is(of, result);
  }

  objects::ObjectChange pod() {
    if (below(4) == 0) return gone(objects::Kind::pod, "default/me");
    objects::Pod result{.node_name = below(4) == 0 ? "n2" : "n1"};
    if (below(2) == 0) result.node_selector["type"] = "edge";
    if (below(3) == 0) result.addresses = {ip(vip())};
    return is("default/me", result);
  }

  std::mt19937_64 random_;
};

inline PlanOptions churn_options(Churn& churn) {
  auto result = options();
  if (churn.below(2) == 0) {
    result.pod_namespace = "default";
    result.pod_name = "me";
  }
  result.use_unicast = churn.below(2) == 0;
  if (churn.below(4) == 0) result.interface = "eth0";
  if (churn.below(4) == 0) result.watch_namespace = "default";
  if (churn.below(4) == 0) result.proxy_protocol_mode = true;
  if (churn.below(4) == 0) result.node_ip = ip(churn.below(2) == 0 ? "10.0.0.4" : "10.0.0.50");
  return result;
}

}  // namespace vipkeeper::plan::world
