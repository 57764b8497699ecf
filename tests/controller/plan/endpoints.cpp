#include "controller/plan/endpoints.h"

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

objects::Endpoint state(const std::string& address, bool is_ready, bool serving, bool terminating) {
  return {.address = ip(address), .ready = is_ready, .serving = serving, .terminating = terminating};
}

// "10.2.0.5:80 10.2.0.6:80!" (the second on this node, "node1"; with weight 0: "-"), or why there is none in brackets.
std::string chosen(const objects::Service& of, const std::vector<objects::EndpointSlice>& slices,
                   Family family = Family::ipv4) {
  std::vector<const objects::EndpointSlice*> pointers;
  for (const auto& each : slices) pointers.push_back(&each);
  const auto choice = choose_endpoints(of, of.ports.front(), pointers, family, "node1");
  std::string text;
  for (const auto& server : choice.real_servers) {
    text += (text.empty() ? "" : " ") + server.address.to_string() + ":" + std::to_string(server.port);
    if (server.on_this_node) text += "!";
    if (server.weight == 0) text += "-";
  }
  if (choice.why_none.empty()) return text;
  return text + (text.empty() ? "[" : " [") + choice.why_none + "]";
}

const auto http = service({port(80, 8080, "http")});

TEST_CASE("endpoints are matched by the Service port's name and protocol", "[plan][endpoints][discovery-v1]") {
  const std::vector<objects::Endpoint> two = {ready("10.2.0.10"), ready("10.2.0.9")};
  CHECK(chosen(http, {slice("web", {on(8080, "http")}, two)}) == "10.2.0.9:8080 10.2.0.10:8080");
  // The slice's number counts, and it may differ from slice to slice.
  CHECK(chosen(http, {slice("web", {on(8080, "http")}, {ready("10.2.0.9")}),
                      slice("web", {on(9090, "http")}, {ready("10.2.0.10")})}) == "10.2.0.9:8080 10.2.0.10:9090");
  CHECK(chosen(http, {slice("web", {on(8080, "https")}, two)}) == "[no endpoint has a tcp port named \"http\"]");
  CHECK(chosen(http, {slice("web", {on(8080, "http", Protocol::udp)}, two)}) ==
        "[no endpoint has a tcp port named \"http\"]");
  CHECK(chosen(http, {slice("web", {on(8080, "http", Protocol::udp), on(8081, "http")}, {ready("10.2.0.9")})}) ==
        "10.2.0.9:8081");
  CHECK(chosen(http, {slice("web", {}, two)}) == "[no endpoint has a tcp port named \"http\"]");
}

TEST_CASE("a slice port without a number means the Service's numeric target port", "[plan][endpoints][discovery-v1]") {
  const objects::EndpointPort any{.name = "http", .protocol = Protocol::tcp, .port = std::nullopt};
  CHECK(chosen(http, {slice("web", {any}, {ready("10.2.0.9")})}) == "10.2.0.9:8080");
  auto named = http;
  named.ports[0].target_port = std::string("web");
  CHECK(chosen(named, {slice("web", {any}, {ready("10.2.0.9")})}) == "[no endpoint has a tcp port named \"http\"]");
}

TEST_CASE("ready counts; if none is, serving and terminating; what else terminates has weight 0", "[plan][endpoints][discovery-v1]") {
  const std::vector<objects::EndpointPort> ports = {on(80, "http")};
  const auto a_ready = state("10.2.0.1", true, true, false);
  const auto leaving = state("10.2.0.2", false, true, true);
  const auto dead = state("10.2.0.3", false, false, false);
  const auto starting = state("10.2.0.4", false, true, false);
  const auto gone = state("10.2.0.5", false, false, true);
  CHECK(chosen(http, {slice("web", ports, {a_ready, leaving, dead, starting, gone})}) ==
        "10.2.0.1:80 10.2.0.2:80- 10.2.0.5:80-");
  CHECK(chosen(http, {slice("web", ports, {leaving, dead, starting, gone})}) == "10.2.0.2:80 10.2.0.5:80-");
  CHECK(chosen(http, {slice("web", ports, {dead, starting, gone})}) ==
        "10.2.0.5:80- [none of its 3 endpoints is ready]");
  CHECK(chosen(http, {slice("web", ports, {dead, starting})}) == "[none of its 2 endpoints is ready]");
  CHECK(chosen(http, {slice("web", ports, {})}) == "[it has no endpoints]");
  CHECK(chosen(http, {}) == "[it has no endpoints]");
  // A ready one in another slice of the Service is enough.
  CHECK(chosen(http, {slice("web", ports, {leaving}), slice("web", ports, {a_ready})}) == "10.2.0.1:80 10.2.0.2:80-");
  auto eager = http;
  eager.publish_not_ready_addresses = true;
  CHECK(chosen(eager, {slice("web", ports, {a_ready, dead, starting})}) == "10.2.0.1:80 10.2.0.3:80 10.2.0.4:80");
}

TEST_CASE("an endpoint that is in two slices while it moves counts once", "[plan][endpoints][discovery-v1]") {
  const std::vector<objects::EndpointPort> ports = {on(80, "http")};
  CHECK(chosen(http, {slice("web", ports, {ready("10.2.0.1"), ready("10.2.0.2")}),
                      slice("web", ports, {ready("10.2.0.2"), state("10.2.0.1", false, true, true)})}) ==
        "10.2.0.1:80 10.2.0.2:80");
}

TEST_CASE("an endpoint whose nodeName is the own node's is marked as being here", "[plan][endpoints][masquerade]") {
  const auto on_node = [](const std::string& address, const std::string& node) {
    auto endpoint = ready(address);
    endpoint.node_name = node;
    return endpoint;
  };
  const std::vector<objects::Endpoint> three = {on_node("10.2.0.1", "node1"), on_node("10.2.0.2", "node2"),
                                                ready("10.2.0.3")};
  CHECK(chosen(http, {slice("web", {on(80, "http")}, three)}) == "10.2.0.1:80! 10.2.0.2:80 10.2.0.3:80");
}

TEST_CASE("endpoints are of the VIP's family", "[plan][endpoints]") {
  const auto six = slice("web", {on(80, "http")}, {ready("fd00::1")});
  CHECK(chosen(http, {six}) == "[it has no IPv4 endpoints]");
  CHECK(chosen(http, {six}, Family::ipv6) == "fd00::1:80");
  CHECK(chosen(http, {six, slice("web", {on(80, "http")}, {ready("10.2.0.1")})}) == "10.2.0.1:80");
}

}  // namespace
}  // namespace vipkeeper::plan
