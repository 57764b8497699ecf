#include "controller/plan/nodes.h"

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

struct Found {
  std::optional<NodePlace> place;
  Lines problems;
};

Found place(const std::vector<objects::ObjectChange>& changes, PlanOptions with = options(),
            std::vector<HostInterface> interfaces = eth0(), std::optional<NodePlace> before = {}) {
  Snapshot snapshot(std::move(with));
  Touched touched;
  for (const auto& change : changes) snapshot.apply(change, touched);
  auto plan = plan_place(snapshot, interfaces, before);
  Found found{.place = std::move(plan.place), .problems = {}};
  for (const auto& problem : all_problems(plan.problems)) {
    found.problems.push_back((problem.severity == Severity::error ? "error " : "warning ") + problem.object + ": " +
                             problem.message);
  }
  return found;
}

std::vector<IpAddress> ips(std::initializer_list<const char*> texts) {
  std::vector<IpAddress> result;
  for (const char* text : texts) result.push_back(ip(text));
  return result;
}

TEST_CASE("priority is 100 and the rank by address, numerically", "[plan][nodes]") {
  const std::vector<objects::ObjectChange> three = {is("a", node("10.0.0.10")), is("b", node("10.0.0.9")),
                                                    is("c", node("10.0.0.4"))};
  struct Row {
    const char* name;
    int priority;
    std::vector<IpAddress> peers;
  };
  const Row rows[] = {{"c", 100, ips({"10.0.0.9", "10.0.0.10"})},
                      {"b", 101, ips({"10.0.0.4", "10.0.0.10"})},
                      {"a", 102, ips({"10.0.0.4", "10.0.0.9"})}};
  for (const auto& row : rows) {
    auto with = options();
    with.node_name = row.name;
    const auto found = place(three, with);
    REQUIRE(found.place);
    CHECK(found.place->priority == row.priority);
    CHECK(found.place->peers == row.peers);
    CHECK(found.problems.empty());
  }
}

TEST_CASE("the own node is --node-name, else the own pod's, else the host's", "[plan][nodes]") {
  const std::vector<objects::ObjectChange> nodes = {is("n1", node("10.0.0.4")), is("n2", node("10.0.0.5")),
                                                    is("n3", node("10.0.0.6")),
                                                    is("kube-system/me", objects::Pod{.node_name = "n2"})};
  auto with = options();
  CHECK(place(nodes, with).place->address == ip("10.0.0.4"));
  with.pod_namespace = "kube-system";
  with.pod_name = "me";
  CHECK(place(nodes, with).place->address == ip("10.0.0.5"));
  with.node_name = "n3";
  CHECK(place(nodes, with).place->address == ip("10.0.0.6"));
}

TEST_CASE("a Node's address is its InternalIP, else its ExternalIP, of IPv4", "[plan][nodes]") {
  auto both = node("fd00::4");
  both.internal_addresses.push_back(ip("10.0.0.4"));
  both.external_addresses = {ip("198.51.100.4")};
  CHECK(place({is("n1", both)}).place->address == ip("10.0.0.4"));
  auto outside = node("fd00::4");
  outside.external_addresses = {ip("10.0.0.7")};
  CHECK(place({is("n1", outside)}).place->address == ip("10.0.0.7"));
  CHECK(place({is("n1", node("fd00::4"))}).problems ==
        Lines{"error Node n1: it has neither an InternalIP nor an ExternalIP of IPv4: waiting, no address is held and "
              "nothing is forwarded; give --node-ip"});
}

TEST_CASE("Nodes that the own pod's nodeSelector leaves out are neither ranked nor peers", "[plan][nodes]") {
  auto with = options();
  with.pod_namespace = "kube-system";
  with.pod_name = "me";
  const objects::Pod pod{.node_name = "n1", .node_selector = {{"type", "edge"}}};
  const std::vector<objects::ObjectChange> nodes = {
      is("n0", node("10.0.0.3")), is("n1", node("10.0.0.4", {{"type", "edge"}})),
      is("n2", node("10.0.0.5", {{"type", "edge"}, {"other", "x"}})), is("n3", node("10.0.0.6", {{"type", "core"}})),
      is("kube-system/me", pod)};
  const auto found = place(nodes, with);
  CHECK(found.place->priority == 100);
  CHECK(found.place->peers == ips({"10.0.0.5"}));

  auto moved = nodes;
  moved[1] = is("n1", node("10.0.0.4", {{"type", "core"}}));
  const auto out = place(moved, with);
  CHECK(out.place->priority == 99);
  CHECK(out.place->peers == ips({"10.0.0.5"}));
  REQUIRE(out.problems.size() == 1);
  CHECK(out.problems[0].starts_with("warning Node n1: it does not match the own Pod's nodeSelector"));
}

TEST_CASE("an own pod that cannot be seen leaves all Nodes in, with a warning", "[plan][nodes]") {
  auto with = options();
  with.pod_namespace = "kube-system";
  with.pod_name = "me";
  const auto found = place({is("n1", node("10.0.0.4")), is("n2", node("10.0.0.5"))}, with);
  REQUIRE(found.place);
  CHECK(found.place->peers == ips({"10.0.0.5"}));
  REQUIRE(found.problems.size() == 1);
  CHECK(found.problems[0].starts_with("warning Node n1: the own Pod kube-system/me is not seen"));
}

TEST_CASE("an unknown own Node waits and says so, or goes on as before", "[plan][nodes]") {
  CHECK(place({is("n2", node("10.0.0.5"))}).problems ==
        Lines{"error Node n1: the own Node is not among the 1 seen: waiting, no address is held and nothing is "
              "forwarded; give --node-name, or --node-ip"});
  const NodePlace before{.address = ip("10.0.0.4"), .interface = "eth0", .priority = 101, .peers = {}};
  CHECK(place({}, options(), eth0(), before).problems ==
        Lines{"error Node n1: the own Node is not among the 0 seen: going on with what was known of it; give "
              "--node-name, or --node-ip"});
}

TEST_CASE("--node-ip finds the Node that has it, and stands in for one that is not there", "[plan][nodes]") {
  auto with = options();
  with.node_ip = ip("10.0.0.5");
  with.interface = "eth9";
  const auto found = place({is("other", node("10.0.0.5")), is("n0", node("10.0.0.3"))}, with, {});
  REQUIRE(found.place);
  CHECK(*found.place == NodePlace{ip("10.0.0.5"), "eth9", 101, ips({"10.0.0.3"})});
  CHECK(found.problems.empty());
  const auto alone = place({is("n0", node("10.0.0.3"))}, with, {});
  REQUIRE(alone.place);
  CHECK(*alone.place == NodePlace{ip("10.0.0.5"), "eth9", 101, ips({"10.0.0.3"})});
  REQUIRE(alone.problems.size() == 1);
  CHECK(alone.problems[0].starts_with("warning Node n1: not among the 1 Nodes seen: rank reckoned from --node-ip"));
}

TEST_CASE("--node-ip changes the own address, not the rank that the other nodes see", "[plan][nodes]") {
  auto with = options();
  with.node_ip = ip("192.168.7.200");
  with.interface = "eth1";
  const auto found = place({is("n1", node("10.0.0.4")), is("n2", node("10.0.0.5"))}, with);
  REQUIRE(found.place);
  CHECK(*found.place == NodePlace{ip("192.168.7.200"), "eth1", 100, ips({"10.0.0.5"})});
}

TEST_CASE("the interface is --iface, else the one with the address, else the one with its subnet",
          "[plan][nodes][interfaces]") {
  const std::vector<objects::ObjectChange> own = {is("n1", node("10.0.0.4"))};
  auto with = options();
  CHECK(place(own, with, {{"eth0", cidr("10.0.0.9/8")}, {"bond0", cidr("10.0.0.4/32")}}).place->interface == "bond0");
  CHECK(place(own, with, {{"eth0", cidr("10.0.0.9/8")}, {"eth1", cidr("10.0.0.8/24")}}).place->interface == "eth1");
  CHECK(place(own, with, {{"eth0", cidr("192.168.0.1/24")}}).problems ==
        Lines{"error Node n1: no interface of this host is in the subnet of 10.0.0.4 (there are: eth0 192.168.0.1/24): "
              "waiting, no address is held and nothing is forwarded; give --iface, or the --node-ip that is on one of "
              "them"});
  with.interface = "eth7";
  CHECK(place(own, with, {}).place->interface == "eth7");
}

TEST_CASE("an own address that comes to the host as a host prefix ends the wait for an interface",
          "[plan][nodes][interfaces]") {
  const std::vector<HostInterface> without = {{"eth0", cidr("192.168.0.1/24")}, {"bond0", cidr("0.0.0.0/32")}};
  auto planner = planner_with({entries({{"10.0.0.50", ""}})}, options(), without);
  CHECK_FALSE(planner.plan().ready);
  planner.set_interfaces({{"eth0", cidr("192.168.0.1/24")}, {"bond0", cidr("10.0.0.4/32")}});
  REQUIRE(planner.plan().vrrp != nullptr);
  CHECK(planner.plan().vrrp->interface == "bond0");
}

TEST_CASE("more Nodes than priorities share the highest that still gives way", "[plan][nodes]") {
  std::vector<objects::ObjectChange> many;
  for (int i = 0; i < 200; ++i) many.push_back(is("m" + std::to_string(i), node("10.1.0." + std::to_string(i + 1))));
  many.push_back(is("n1", node("10.2.0.1")));
  auto with = options();
  with.interface = "eth0";
  const auto found = place(many, with);
  CHECK(found.place->priority == 254);
  CHECK(found.place->peers.size() == 200);
  REQUIRE(found.problems.size() == 1);
  CHECK(found.problems[0].starts_with("warning Node n1: 201 Nodes are more than there are priorities"));
}

TEST_CASE("of more addresses than an advertisement can count the rest is held without being advertised",
          "[plan][nodes][rfc9568-5.2.5]") {
  std::vector<VipAddress> addresses;
  for (std::uint32_t i = 0; i < 300; ++i) addresses.push_back({{IpAddress::v4(0x0a010000 + i), 32}, {}});
  const NodePlace here{.address = ip("10.0.0.4"), .interface = "eth0", .priority = 100, .peers = {}};
  const auto vrrp = build_vrrp(here, addresses, options(), eth0());
  REQUIRE(vrrp != nullptr);
  CHECK(vrrp->addresses.size() == 255);
  CHECK(vrrp->excluded_addresses.size() == 45);
  CHECK(vrrp->excluded_addresses.front().prefix.address == IpAddress::v4(0x0a0100ff));
  CHECK(build_vrrp(here, {}, options(), eth0()) == nullptr);
}

}  // namespace
}  // namespace vipkeeper::plan
