#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "controller/objects/objects.h"

// Objects of every kind with every field at random, as the readers could have made them.
namespace vipkeeper::objects::random {

class Objects {
 public:
  explicit Objects(std::uint64_t seed) : random_(seed) {}

  std::pair<ObjectKey, Object> next() {
    const std::string name = "o" + std::to_string(below(1000));
    switch (below(6)) {
      case 0:
        return {{Kind::config_map, "default", name}, ConfigMap{.data = map(text_values)}};
      case 1:
        return {{Kind::service, "default", name}, service()};
      case 2:
        return {{Kind::endpoint_slice, "default", name}, slice(below(5) == 0 ? "" : "web", family())};
      case 3:
        return {{Kind::endpoints, "default", name}, endpoints(name)};
      case 4:
        return {{Kind::node, "", name}, node()};
      default:
        return {{Kind::pod, "kube-system", name},
                Pod{.node_name = pick({"", "node1"}), .node_selector = map(label_values), .addresses = addresses()}};
    }
  }

  unsigned below(unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random_); }

 private:
  using Choices = std::vector<std::string>;
  inline static const Choices text_values = {"", "default/web", "line\nbreak\t\"quoted\" \\", "\xc3\xa4\xe2\x82\xac",
                                             "\x01\x7f"};
  inline static const Choices label_values = {"", "linux", "a.b/c"};

  std::string pick(const Choices& choices) { return choices[below(static_cast<unsigned>(choices.size()))]; }

  std::map<std::string, std::string> map(const Choices& values) {
    std::map<std::string, std::string> result;
    for (unsigned i = 0; i < below(4); ++i) result["k" + std::to_string(below(9)) + pick(values)] = pick(values);
    return result;
  }

  Family family() { return below(2) == 0 ? Family::ipv4 : Family::ipv6; }
  IpAddress address(Family of) {
    return IpAddress::parse(of == Family::ipv4 ? "10.2.0." + std::to_string(below(256))
                                               : "2001:db8::" + std::to_string(below(256)))
        .value();
  }
  std::vector<IpAddress> addresses() {
    std::vector<IpAddress> result;
    for (unsigned i = 0; i < below(4); ++i) result.push_back(address(family()));
    return result;
  }
  Protocol protocol() {
    constexpr Protocol all[] = {Protocol::tcp, Protocol::udp, Protocol::sctp};
    return all[below(3)];
  }
  std::uint16_t port() { return static_cast<std::uint16_t>(1 + below(65535)); }

  Service service() {
    Service result;
    result.type = pick({"ClusterIP", "LoadBalancer", "ExternalName"});
    result.cluster_ips = addresses();
    result.other_addresses = addresses();
    for (unsigned i = 0; i < below(4); ++i) {
      ServicePort one{.name = pick({"", "http"}), .protocol = protocol(), .port = port()};
      if (below(3) == 0) {
        one.target_port = std::string("named");
      } else {
        one.target_port = port();
      }
      result.ports.push_back(std::move(one));
    }
    if (below(2) == 0) result.affinity_seconds = 1 + below(86400);
    result.publish_not_ready_addresses = below(2) == 0;
    result.annotations = map(text_values);
    if (result.type != "LoadBalancer" || below(2) == 0) return result;
    result.own_class = true;
    for (unsigned i = 0; i < below(4); ++i) {
      LoadBalancerIngress one{.ip = pick({"", "192.0.2.7", "2001:db8::7", "no address"}),
                              .hostname = pick({"", "a.example"}),
                              .ip_mode = pick({"", "VIP", "Proxy"})};
      if (const auto ip = IpAddress::parse(one.ip)) result.other_addresses.push_back(*ip);
      result.ingress.push_back(std::move(one));
    }
    return result;
  }

  EndpointSlice slice(const std::string& of, Family family) {
    EndpointSlice result{.service = of, .family = family, .ports = {}, .endpoints = {}};
    for (unsigned i = 0; i < below(3); ++i) {
      EndpointPort one{.name = pick({"", "http"}), .protocol = protocol(), .port = {}};
      if (below(4) != 0) one.port = port();
      result.ports.push_back(std::move(one));
    }
    for (unsigned i = 0; i < below(4); ++i) {
      result.endpoints.push_back({.address = address(family),
                                  .ready = below(2) == 0,
                                  .serving = below(2) == 0,
                                  .terminating = below(2) == 0,
                                  .is_pod = below(2) == 0});
    }
    return result;
  }

  // As a reader makes them: those that are ready first, serving as they are ready.
  Endpoints endpoints(const std::string& name) {
    Endpoints result;
    for (unsigned i = 0; i < below(3); ++i) {
      EndpointSlice one = slice(name, family());
      if (one.endpoints.empty()) continue;
      std::ranges::stable_sort(one.endpoints, [](const auto& a, const auto& b) { return a.ready && !b.ready; });
      for (auto& endpoint : one.endpoints) {
        endpoint.serving = endpoint.ready;
        endpoint.terminating = false;
      }
      result.subsets.push_back(std::move(one));
    }
    return result;
  }

  Node node() {
    Node result;
    result.internal_addresses = addresses();
    result.external_addresses = addresses();
    result.labels = map(label_values);
    for (unsigned i = 0; i < below(3); ++i) {
      result.pod_cidrs.push_back(IpPrefix::parse(below(2) == 0 ? "10.2.0.0/24" : "2001:db8:1::/64").value());
    }
    return result;
  }

  std::mt19937_64 random_;
};

}  // namespace vipkeeper::objects::random
