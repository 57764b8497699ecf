#include "controller/render/renderer.h"
#include "engine/config/configuration.h"
#include "tests/controller/plan/churn.h"

namespace vipkeeper::render {
namespace {

using namespace plan::world;

std::map<std::string, std::string> texts(const config::FragmentChange& fragments) {
  std::map<std::string, std::string> result;
  for (const auto& [id, fragment] : fragments) {
    REQUIRE(fragment != nullptr);
    CHECK(fragment->id == id);
    result.emplace(id, fragment->text);
  }
  return result;
}

plan::PlanChange whole(const plan::VipPlan& plan) {
  plan::PlanChange change;
  change.ready = plan.ready;
  change.vrrp_changed = true;
  change.vrrp = plan.vrrp;
  change.virtual_services = plan.virtual_services;
  return change;
}

TEST_CASE(
    "fragments kept up to date are the fragments of the whole plan, and the engine takes each change of them "
    "without a complaint",
    "[render][incremental][law]") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    Churn churn(seed);
    plan::Planner planner(plan::world::churn_options(churn));
    planner.set_interfaces(eth0());
    Renderer renderer(Templates::built_in());
    config::Configuration engine;
    for (int number = 0; number < 60; ++number) {
      INFO("step " << number);
      const auto change = renderer.apply(planner.apply(churn.next(), true));
      REQUIRE(change);
      const auto applied = engine.apply(*change);
      if (!applied) FAIL(applied.error().front().to_string());
      for (const auto& warning : applied->problems) FAIL(warning.to_string());
      CHECK(applied->fragments_parsed == static_cast<std::size_t>(std::ranges::count_if(
                                             *change, [](const auto& each) { return each.second != nullptr; })));
      Renderer fresh(Templates::built_in());
      REQUIRE(fresh.apply(whole(planner.plan())));
      CHECK(texts(renderer.fragments()) == texts(fresh.fragments()));
      CHECK(engine.virtual_server_count() == planner.plan().virtual_services.size());
    }
  }
}

TEST_CASE("what the engine reads is what was planned", "[render][law]") {
  auto with = options();
  with.use_unicast = true;
  with.vrid = 179;
  with.advert_interval = std::chrono::milliseconds(250);
  with.notify = "/notify.sh --all";
  auto dns = service({port(53, 5353, "", Protocol::udp)}, {{"scheduler", "sh"}, {"persistence", "30m"}});
  const auto planner = planner_with(
      {is("default/web", service({port(80, 80)})), is("default/web-1", slice("web", {on(80)}, {ready("10.2.0.5")})),
       is("default/dns", dns), is("default/dns-1", slice("dns", {on(5353, "", Protocol::udp)}, {ready("10.2.0.6")})),
       is("n0", node("10.0.0.3")), entries({{"10.0.0.50", "default/web:DR"}, {"192.168.5.5", "default/dns"}})},
      with, {{"eth0", cidr("10.0.0.4/24")}, {"eth1", cidr("192.168.5.1/24")}});
  Renderer renderer(Templates::built_in());
  const auto change = renderer.apply(whole(planner.plan()));
  REQUIRE(change);
  config::Configuration engine;
  const auto applied = engine.apply(*change);
  if (!applied) FAIL(applied.error().front().to_string());
  CHECK(applied->problems.empty());
  REQUIRE(engine.instances().size() == 1);
  const auto& instance = *engine.instances().front();
  CHECK(instance.name == "vips");
  CHECK(instance.interface == "eth0");
  CHECK(instance.vrid == 179);
  CHECK(instance.priority == 101);
  CHECK(instance.version == 3);
  CHECK_FALSE(instance.preempt);
  CHECK(instance.advert_interval == std::chrono::milliseconds(250));
  CHECK(instance.source == ip("10.0.0.4"));
  CHECK(instance.unicast_peers == std::vector{ip("10.0.0.3")});
  CHECK(instance.notify.any == "/notify.sh --all");
  REQUIRE(instance.addresses.size() == 2);
  CHECK(instance.addresses[0].prefix == cidr("10.0.0.50/32"));
  CHECK(instance.addresses[0].interface == "eth0");
  CHECK(instance.addresses[1].interface == "eth1");
  const auto web = engine.virtual_server({Protocol::tcp, ip("10.0.0.50"), 80, 0, Family::ipv4});
  REQUIRE(web != nullptr);
  CHECK(web->comment == "default/web");
  REQUIRE(web->real_servers.size() == 1);
  CHECK(web->real_servers[0].method == config::ForwardingMethod::direct);
  REQUIRE(web->real_servers[0].checks.size() == 1);
  CHECK(web->real_servers[0].checks[0].connect_port == 80);
  CHECK(web->real_servers[0].checks[0].connect_timeout == std::chrono::seconds(3));
  CHECK(web->real_servers[0].checks[0].interval == std::chrono::seconds(5));
  const auto udp = engine.virtual_server({Protocol::udp, ip("192.168.5.5"), 53, 0, Family::ipv4});
  REQUIRE(udp != nullptr);
  CHECK(udp->scheduler == "sh");
  CHECK(udp->persistence_seconds == 1800);
  REQUIRE(udp->real_servers.size() == 1);
  CHECK(udp->real_servers[0].port == 5353);
  CHECK(udp->real_servers[0].checks.empty());
}

}  // namespace
}  // namespace vipkeeper::render
