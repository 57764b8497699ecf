// What a host holds comes back in the status of its Node, and nodes differ in which Nodes they see.

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

const std::map<std::string, std::string> two_vips = {{"10.0.0.50", ""}, {"10.0.0.51", ""}};

objects::Node reporting(std::initializer_list<const char*> internal, std::initializer_list<const char*> external = {}) {
  objects::Node result;
  for (const char* address : internal) result.internal_addresses.push_back(ip(address));
  for (const char* address : external) result.external_addresses.push_back(ip(address));
  return result;
}

// The planner of that node, by unicast, where n2 holds 10.0.0.50 and its kubelet says so first.
Planner three_nodes(const std::string& name, const std::string& node_ip = "") {
  auto with = options();
  with.node_name = name;
  with.use_unicast = true;
  with.interface = "eth0";
  if (!node_ip.empty()) with.node_ip = ip(node_ip);
  return planner_with({is("n2", reporting({"10.0.0.50", "10.0.0.5"})), is("n3", node("10.0.0.6")), entries(two_vips)},
                      with, {});
}

Lines texts_of(const std::vector<IpAddress>& addresses) {
  Lines result;
  for (const auto& address : addresses) result.push_back(address.to_string());
  return result;
}

TEST_CASE("a VIP in the status of a Node is nobody's rank, source or peer, and held by all", "[plan][nodes][rules]") {
  struct Row {
    const char* name;
    const char* source;
    int priority;
    Lines peers;
  };
  const Row rows[] = {{"n1", "10.0.0.4", 100, {"10.0.0.5", "10.0.0.6"}},
                      {"n2", "10.0.0.5", 101, {"10.0.0.4", "10.0.0.6"}},
                      {"n3", "10.0.0.6", 102, {"10.0.0.4", "10.0.0.5"}}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto planner = three_nodes(row.name);
    CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.51/32"});
    REQUIRE(planner.plan().vrrp != nullptr);
    CHECK(planner.plan().vrrp->source == ip(row.source));
    CHECK(planner.plan().vrrp->priority == row.priority);
    CHECK(texts_of(planner.plan().vrrp->peers) == row.peers);
    CHECK(
        problems(planner.plan()) ==
        Lines{"warning ConfigMap default/vips key 10.0.0.50: 10.0.0.50 stands among the addresses of Node n2, as a VIP "
              "that its host holds may: the Node is known by 10.0.0.5; start its kubelet with --node-ip=10.0.0.5, or "
              "use another address if this is the Node's own"});
  }
}

TEST_CASE("a --node-ip that is a VIP, as status.hostIP may be, is not the own address", "[plan][nodes][rules]") {
  const auto planner = three_nodes("n2", "10.0.0.50");
  REQUIRE(planner.plan().vrrp != nullptr);
  CHECK(planner.plan().vrrp->source == ip("10.0.0.5"));
  CHECK(planner.plan().vrrp->priority == 101);
  CHECK(texts_of(planner.plan().vrrp->peers) == Lines{"10.0.0.4", "10.0.0.6"});
  REQUIRE(problems(planner.plan()).size() == 2);
  CHECK(problems(planner.plan())[1] ==
        "warning Node n2: --node-ip 10.0.0.50 is claimed by an entry of the ConfigMap: taken for a VIP that a kubelet "
        "reported as the Node's own, 10.0.0.5 is used; give --node-ip the node's own address");
}

TEST_CASE("a --node-ip that is a VIP finds no Node, and one without another address is the node's own",
          "[plan][nodes][rules]") {
  auto with = options();
  with.host_name = "elsewhere";
  with.interface = "eth0";
  with.node_ip = ip("10.0.0.50");
  // n2's kubelet still tells of a VIP that n2 has lost.
  const auto planner = planner_with({is("n2", reporting({"10.0.0.50", "10.0.0.5"})), entries(two_vips)}, with, {});
  CHECK(planner.snapshot().own_node() == "elsewhere");
  CHECK(held(planner.plan()) == Lines{"10.0.0.51/32"});
  REQUIRE(problems(planner.plan()).size() == 2);
  CHECK(problems(planner.plan())[0] ==
        "error ConfigMap default/vips key 10.0.0.50: 10.0.0.50 is the address of this node (--node-ip): use another "
        "address; the entry is left out");
}

TEST_CASE("an entry is refused where a Node has no other address than it names", "[plan][nodes][rules]") {
  struct Row {
    objects::Node node;
    bool refused;
  };
  const Row rows[] = {{reporting({"10.0.0.50"}), true},
                      {reporting({"10.0.0.50"}, {"10.0.0.5"}), false},
                      {reporting({"10.0.0.5"}, {"10.0.0.50"}), false},
                      {reporting({"10.0.0.5", "10.0.0.50"}), false},
                      // The other is an entry's too, and the first is what the Node is known by.
                      {reporting({"10.0.0.50", "10.0.0.51"}), true},
                      // No address of the other family is one to be known by.
                      {reporting({"10.0.0.50", "2001:db8::5"}), true}};
  for (const auto& row : rows) {
    const auto planner = planner_with({is("n2", row.node), entries(two_vips)});
    CHECK(held(planner.plan()) == (row.refused ? Lines{"10.0.0.51/32"} : Lines{"10.0.0.50/32", "10.0.0.51/32"}));
    REQUIRE(problems(planner.plan()).size() >= 1);
    const std::string refusal =
        "error ConfigMap default/vips key 10.0.0.50: 10.0.0.50 is the address of Node n2: use another address; the "
        "entry is left out";
    CHECK((problems(planner.plan())[0] == refusal) == row.refused);
  }
}

TEST_CASE("what Nodes are known by follows the entries, their last good forms among them", "[plan][nodes][rules]") {
  const auto peers = [](const Planner& planner) { return texts_of(planner.plan().vrrp->peers); };
  auto planner = three_nodes("n1");
  step(planner, entries({{"10.0.0.51", ""}}));
  CHECK(peers(planner) == Lines{"10.0.0.6", "10.0.0.50"});
  step(planner, entries(two_vips));
  CHECK(peers(planner) == Lines{"10.0.0.5", "10.0.0.6"});
  // A bad text leaves the address in force, on the host and in its Node's status.
  step(planner, entries({{"10.0.0.50", "nonsense"}, {"10.0.0.51", ""}}));
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.51/32"});
  CHECK(peers(planner) == Lines{"10.0.0.5", "10.0.0.6"});
  // Nor does who starts now, and does not know what the others hold for it.
  const auto fresh = planner_with(
      {is("n2", reporting({"10.0.0.50", "10.0.0.5"})), entries({{"10.0.0.50", "nonsense"}, {"10.0.0.51", ""}})});
  CHECK(peers(fresh) == Lines{"10.0.0.5"});
  // An entry that moves on leaves its address to whom it belongs, and what stood in another's way is judged again.
  auto moved = planner_with(
      {is("n2", reporting({"10.0.0.50", "10.0.0.51"})), entries({{"10.0.0.50", ""}, {"a", "addresses: 10.0.0.51"}})});
  CHECK(held(moved.plan()) == Lines{"10.0.0.51/32"});
  step(moved, entries({{"10.0.0.50", ""}, {"a", "addresses: 10.0.0.60"}}));
  CHECK(held(moved.plan()) == Lines{"10.0.0.50/32", "10.0.0.60/32"});
}

TEST_CASE("a pod on the host's network has what its Node reports, and the Node's rule decides",
          "[plan][nodes][rules]") {
  const objects::Pod pod{.node_name = "n2", .node_selector = {}, .addresses = {ip("10.0.0.50")}};
  auto planner =
      planner_with({is("n2", reporting({"10.0.0.50", "10.0.0.5"})), is("default/p", pod), entries(two_vips)});
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.51/32"});
  const auto alone = planner_with({is("default/p", pod), entries(two_vips)});
  CHECK(held(alone.plan()) == Lines{"10.0.0.51/32"});
}

TEST_CASE("by unicast, whose Node is gone while others are there gives its addresses up, and takes part again later",
          "[plan][nodes][unicast]") {
  auto planner = three_nodes("n1");
  REQUIRE(planner.plan().vrrp != nullptr);
  const auto change = step(planner, gone(objects::Kind::node, "n1"));
  CHECK(change.vrrp_changed);
  CHECK(change.vrrp == nullptr);
  CHECK(planner.plan().ready);
  CHECK(planner.memory().place->left_out);
  REQUIRE(problems(planner.plan()).size() == 2);
  CHECK(
      problems(planner.plan())[1] ==
      "error Node n1: the own Node is no longer among the 2 seen, and others are: by unicast they neither send to this "
      "node nor hear it, so it gives its addresses up; restart its kubelet, which registers the Node, or end "
      "vipkeeper here");
  // New entries are not held either, but forwarding is ready.
  CHECK_FALSE(step(planner, entries({{"10.0.0.50", ""}, {"10.0.0.52", ""}})).vrrp_changed);
  step(planner, is("n1", node("10.0.0.4")));
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.52/32"});
  CHECK(planner.plan().vrrp->priority == 100);
}

TEST_CASE("who does not see its Node goes on where nobody else takes over, or hears it all the same",
          "[plan][nodes][unicast]") {
  const auto without_own = [](bool unicast, const std::vector<objects::ObjectChange>& others, bool selective) {
    auto with = options();
    with.use_unicast = unicast;
    with.pod_namespace = "kube-system";
    with.pod_name = "me";
    auto changes = others;
    objects::Pod pod{.node_name = "n1"};
    if (selective) pod.node_selector = {{"type", "edge"}};
    changes.push_back(is("kube-system/me", pod));
    changes.push_back(entries(two_vips));
    auto planner = planner_with(changes, with);
    step(planner, is("n1", node("10.0.0.4", {{"type", "edge"}})));
    step(planner, gone(objects::Kind::node, "n1"));
    return held(planner.plan()).size() == 2;
  };
  CHECK_FALSE(without_own(true, {is("n2", node("10.0.0.5"))}, false));
  CHECK(without_own(false, {is("n2", node("10.0.0.5"))}, false));  // multicast is heard
  CHECK(without_own(true, {}, false));                             // no Node at all says nothing
  CHECK(without_own(true, {is("n2", node("10.0.0.5"))}, true));    // n2 does not share the addresses
}

TEST_CASE("by unicast nothing is held before the own Node was seen among others, whatever --node-ip says",
          "[plan][nodes][unicast]") {
  for (const bool with_ip : {false, true}) {
    auto with = options();
    with.use_unicast = true;
    if (with_ip) with.node_ip = ip("10.0.0.4");
    Planner planner(with);
    planner.set_interfaces(eth0());
    const objects::ObjectChange start[] = {is("n2", node("10.0.0.5")), entries(two_vips)};
    planner.apply(start, true);
    CHECK_FALSE(planner.plan().ready);
    CHECK(planner.plan().vrrp == nullptr);
    CHECK(problems(planner.plan()) ==
          Lines{std::string("error Node n1: the own Node is not among the 1 seen: waiting, no address is held and "
                            "nothing is forwarded; give --node-name") +
                (with_ip ? "" : ", or --node-ip")});
    step(planner, is("n1", node("10.0.0.4")));
    CHECK(held(planner.plan()).size() == 2);
  }
}

TEST_CASE("by unicast a node outside the nodeSelector holds nothing beside those inside", "[plan][nodes][unicast]") {
  auto with = options();
  with.use_unicast = true;
  with.pod_namespace = "kube-system";
  with.pod_name = "me";
  auto planner = planner_with(
      {is("n2", node("10.0.0.5", {{"type", "edge"}})),
       is("kube-system/me", objects::Pod{.node_name = "n1", .node_selector = {{"type", "edge"}}}), entries(two_vips)},
      with);
  CHECK(planner.plan().vrrp == nullptr);
  REQUIRE(problems(planner.plan()).size() == 1);
  CHECK(problems(planner.plan())[0].starts_with(
      "error Node n1: it does not match the own Pod's nodeSelector, so by unicast the others neither send to it"));
  step(planner, is("n1", node("10.0.0.4", {{"type", "edge"}})));
  CHECK(held(planner.plan()).size() == 2);
}

}  // namespace
}  // namespace vipkeeper::plan
