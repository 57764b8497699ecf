#include "controller/plan/load_balancer.h"

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

objects::Service balancer(std::vector<objects::LoadBalancerIngress> ingress = {}) {
  auto result = service({port(80, 8080)});
  result.type = "LoadBalancer";
  result.own_class = true;
  for (const auto& one : ingress) {
    if (const auto address = IpAddress::parse(one.ip)) result.other_addresses.push_back(*address);
  }
  result.ingress = std::move(ingress);
  return result;
}

TEST_CASE("a status is shown when it says the addresses, all of them and nothing else", "[plan][load-balancer]") {
  struct Row {
    std::vector<objects::LoadBalancerIngress> ingress;
    std::set<IpAddress> addresses;
    bool shown;
  };
  const std::set<IpAddress> two = {ip("10.0.0.50"), ip("10.0.0.51")};
  const Row rows[] = {
      {{}, {}, true},
      {{}, two, false},
      {{{.ip = "10.0.0.50", .ip_mode = "VIP"}, {.ip = "10.0.0.51", .ip_mode = "VIP"}}, two, true},
      // What a server before 1.30 makes of it.
      {{{.ip = "10.0.0.50"}, {.ip = "10.0.0.51"}}, two, true},
      {{{.ip = "10.0.0.50", .ip_mode = "VIP"}}, two, false},
      {{{.ip = "10.0.0.50", .ip_mode = "VIP"}, {.ip = "10.0.0.51", .ip_mode = "Proxy"}}, two, false},
      {{{.ip = "10.0.0.51", .ip_mode = "VIP"}, {.ip = "10.0.0.50", .ip_mode = "VIP"}}, two, false},
      {{{.ip = "10.0.0.50", .hostname = "a.example"}, {.ip = "10.0.0.51"}}, two, false},
      {{{.hostname = "a.example"}}, {}, false},
      {{{.ip = "10.0.0.52"}}, {}, false},
      {{{.ip = "2001:db8::50"}}, {ip("2001:db8:0::50")}, true},
  };
  for (const auto& row : rows) {
    INFO(&row - rows);
    const auto of = balancer(row.ingress);
    const auto planned = plan_load_balancer(&of, row.addresses);
    REQUIRE(planned);
    CHECK(planned->shown == row.shown);
    CHECK(std::set(planned->addresses.begin(), planned->addresses.end()) == row.addresses);
  }
}

TEST_CASE("a Service of another class has no status of ours", "[plan][load-balancer]") {
  auto of = balancer();
  of.own_class = false;
  CHECK_FALSE(plan_load_balancer(&of, {ip("10.0.0.50")}));
  CHECK_FALSE(plan_load_balancer(nullptr, {ip("10.0.0.50")}));
}

TEST_CASE("a Service's status follows the entries that name it", "[plan][load-balancer]") {
  auto planner = planner_with({is("default/web", balancer()), is("default/other", balancer({{.ip = "10.0.0.99"}}))});
  // Without the ConfigMap an absent entry means nothing.
  CHECK(planner.plan().load_balancers.empty());
  auto change = step(planner, entries({{"10.0.0.50", "default/web"}, {"10.0.0.51", "default/web:DR"}}));
  using Balancers = std::map<std::string, std::optional<LoadBalancerPlan>>;
  CHECK(change.load_balancers ==
        Balancers{{"default/other", LoadBalancerPlan{}},
                  {"default/web", LoadBalancerPlan{.addresses = {ip("10.0.0.50"), ip("10.0.0.51")}}}});

  // The answer to what was written.
  change = step(planner, is("default/web", balancer({{.ip = "10.0.0.50", .ip_mode = "VIP"}, {.ip = "10.0.0.51"}})));
  CHECK(change.load_balancers ==
        Balancers{{"default/web", LoadBalancerPlan{.addresses = {ip("10.0.0.50"), ip("10.0.0.51")}, .shown = true}}});
  CHECK(change.virtual_services.empty());
  CHECK_FALSE(change.vrrp_changed);

  change = step(planner, entries({{"10.0.0.50", ""}}));
  CHECK(change.load_balancers == Balancers{{"default/web", LoadBalancerPlan{}}});
  // A ConfigMap that is deleted takes nothing away.
  step(planner, entries({{"10.0.0.50", "default/web"}}));
  change = step(planner, gone(objects::Kind::config_map, "default/vips"));
  CHECK(change.load_balancers.empty());
  change = step(planner, gone(objects::Kind::service, "default/web"));
  CHECK(change.load_balancers == Balancers{{"default/web", std::nullopt}});
}

TEST_CASE("the address that a Service's own status shows is no reason against the entry that put it there",
          "[plan][load-balancer][addresses]") {
  auto planner = planner_with(
      {is("default/web", balancer({{.ip = "10.0.0.50", .ip_mode = "VIP"}})), entries({{"10.0.0.50", "default/web"}})});
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32"});
  CHECK_FALSE(planner.memory().good_texts.empty());
  for (const auto& line : problems(planner.plan())) CHECK(line.find("is the address of") == std::string::npos);
  // Written while the entry is there already.
  step(planner, is("default/web", balancer()));
  step(planner, is("default/web", balancer({{.ip = "10.0.0.50"}})));
  step(planner, entries({{"10.0.0.50", "default/web:DR"}}));
  for (const auto& line : problems(planner.plan())) CHECK(line.find("is the address of") == std::string::npos);
}

}  // namespace
}  // namespace vipkeeper::plan
