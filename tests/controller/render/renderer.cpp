#include "controller/render/renderer.h"

#include <catch2/catch.hpp>

namespace vipkeeper::render {
namespace {

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

plan::VirtualServicePlan web() {
  plan::VirtualServicePlan service;
  service.key = {.address = ip("10.4.0.50"), .port = 80, .protocol = Protocol::tcp};
  service.service = "default/echoheaders";
  service.real_servers = {{.address = ip("10.2.68.5"), .port = 8080}, {.address = ip("10.2.68.6"), .port = 8080}};
  return service;
}

plan::VrrpPlan vips() {
  plan::VrrpPlan vrrp;
  vrrp.interface = "eth0";
  vrrp.priority = 101;
  vrrp.source = ip("10.4.0.4");
  vrrp.peers = {ip("10.4.0.3"), ip("10.4.0.5")};
  vrrp.addresses = {{{ip("10.4.0.50"), 32}, ""}, {{ip("192.168.5.5"), 32}, "eth1"}};
  return vrrp;
}

plan::PlanChange with(plan::VrrpPlan vrrp, const std::vector<plan::VirtualServicePlan>& services) {
  plan::PlanChange change;
  change.ready = true;
  change.vrrp_changed = true;
  change.vrrp = std::make_shared<const plan::VrrpPlan>(std::move(vrrp));
  for (const auto& service : services) {
    change.virtual_services[service.key] = std::make_shared<const plan::VirtualServicePlan>(service);
  }
  return change;
}

std::vector<std::string> ids(const config::FragmentChange& change) {
  std::vector<std::string> result;
  for (const auto& [id, fragment] : change) result.push_back(fragment == nullptr ? id + " gone" : id);
  return result;
}

std::string text_of(const plan::PlanChange& change) {
  Renderer renderer(Templates::built_in());
  const auto applied = renderer.apply(change);
  if (!applied) return "refused: " + applied.error().message;
  return compose(renderer.fragments());
}

TEST_CASE("the whole text of a plan with NAT and multicast", "[render][golden]") {
  auto service = web();
  service.real_servers[0].on_this_node = true;
  CHECK(text_of(with(vips(), {service})) == R"(global_defs {
  vrrp_version 3
  script_user root
  enable_script_security
}

vrrp_instance vips {
  state BACKUP
  interface eth0
  virtual_router_id 50
  priority 101
  nopreempt
  advert_int 1
  virtual_ipaddress {
    10.4.0.50/32
    192.168.5.5/32 dev eth1
  }
}

# Service: default/echoheaders
virtual_server 10.4.0.50 80 {
  delay_loop 5
  lvs_sched wlc
  lvs_method NAT
  masquerade auto
  protocol TCP
  real_server 10.2.68.5 8080 {
    weight 1
    on_this_node
    TCP_CHECK {
      connect_port 8080
      connect_timeout 3
    }
  }
  real_server 10.2.68.6 8080 {
    weight 1
    TCP_CHECK {
      connect_port 8080
      connect_timeout 3
    }
  }
}
)");
}

TEST_CASE("a virtual server without real servers is in the text", "[render][drain]") {
  auto service = web();
  service.real_servers.clear();
  CHECK(text_of(with(vips(), {service})).ends_with(R"(
# Service: default/echoheaders
virtual_server 10.4.0.50 80 {
  delay_loop 5
  lvs_sched wlc
  lvs_method NAT
  masquerade auto
  protocol TCP
}
)"));
}

TEST_CASE("a real server that drains has weight 0 and no check", "[render][drain]") {
  auto service = web();
  service.real_servers[0].weight = 0;
  const auto text = text_of(with(vips(), {service}));
  CHECK(text.ends_with(R"(
  real_server 10.2.68.5 8080 {
    weight 0
  }
  real_server 10.2.68.6 8080 {
    weight 1
    TCP_CHECK {
      connect_port 8080
      connect_timeout 3
    }
  }
}
)"));
}

TEST_CASE("the text with unicast, notify, excluded addresses, DR, persistence and UDP", "[render][golden]") {
  auto vrrp = vips();
  vrrp.vrid = 179;
  vrrp.unicast = true;
  vrrp.advert_interval = std::chrono::milliseconds(10);
  vrrp.notify = "/usr/local/bin/notify.sh --log";
  vrrp.excluded_addresses = {{{ip("10.4.0.60"), 24}, ""}, {{ip("10.4.0.61"), 32}, "eth1"}};
  auto dns = web();
  dns.key = {.address = ip("10.4.0.51"), .port = 53, .protocol = Protocol::udp};
  dns.service = "kube-system/dns";
  dns.method = plan::Method::direct;
  dns.scheduler = "sh";
  dns.persistence_seconds = 1800;
  dns.check.type = plan::CheckType::none;
  dns.real_servers = {{.address = ip("10.2.68.7"), .port = 53}};
  CHECK(text_of(with(vrrp, {dns})) == R"(global_defs {
  vrrp_version 3
  script_user root
  enable_script_security
}

vrrp_instance vips {
  state BACKUP
  interface eth0
  virtual_router_id 179
  priority 101
  nopreempt
  advert_int 0.01
  notify "/usr/local/bin/notify.sh --log"
  unicast_src_ip 10.4.0.4
  unicast_peer {
    10.4.0.3
    10.4.0.5
  }
  virtual_ipaddress {
    10.4.0.50/32
    192.168.5.5/32 dev eth1
  }
  virtual_ipaddress_excluded {
    10.4.0.60/24
    10.4.0.61/32 dev eth1
  }
}

# Service: kube-system/dns
virtual_server 10.4.0.51 53 {
  delay_loop 5
  lvs_sched sh
  lvs_method DR
  persistence_timeout 1800
  protocol UDP
  real_server 10.2.68.7 53 {
    weight 1
  }
}
)");
}

TEST_CASE("a plan without VIPs is the globals alone, one that is not ready nothing", "[render][golden]") {
  plan::PlanChange none;
  CHECK(text_of(none).empty());
  none.ready = true;
  CHECK(text_of(none) == "global_defs {\n  vrrp_version 3\n  script_user root\n  enable_script_security\n}\n");
}

TEST_CASE("a lone node's unicast is an empty peer block, not the absence of one", "[render][golden]") {
  auto vrrp = vips();
  vrrp.unicast = true;
  vrrp.peers.clear();
  CHECK_THAT(text_of(with(vrrp, {})), Catch::Contains("\n  unicast_src_ip 10.4.0.4\n  unicast_peer {\n  }\n"));
}

TEST_CASE("advertisement intervals are written in seconds", "[render]") {
  const std::pair<int, const char*> rows[] = {{10, "0.01"},  {100, "0.1"},     {1000, "1"},
                                              {2500, "2.5"}, {40950, "40.95"}, {10000, "10"}};
  for (const auto& [milliseconds, text] : rows) {
    auto vrrp = vips();
    vrrp.advert_interval = std::chrono::milliseconds(milliseconds);
    CHECK_THAT(text_of(with(vrrp, {})), Catch::Contains(std::string("advert_int ") + text + "\n"));
  }
}

TEST_CASE("only the fragments whose text changed are handed on, and only those touched are rendered",
          "[render][incremental][cost]") {
  Renderer renderer(Templates::built_in());
  std::vector<plan::VirtualServicePlan> many;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    many.push_back(web());
    many.back().key.address = IpAddress::v4(0x0a040000 + i);
  }
  const auto all = renderer.apply(with(vips(), many));
  REQUIRE(all);
  CHECK(all->size() == 1002);
  CHECK(renderer.rendered() == 1002);

  plan::PlanChange one;
  one.ready = true;
  auto changed = many[50];
  changed.real_servers.pop_back();
  one.virtual_services[changed.key] = std::make_shared<const plan::VirtualServicePlan>(changed);
  const auto fragments = renderer.apply(one);
  REQUIRE(fragments);
  CHECK(ids(*fragments) == std::vector<std::string>{"2/vs/010.004.000.050:00080/tcp"});
  CHECK(renderer.rendered() == 1003);
  CHECK(renderer.fragments().at("2/vs/010.004.000.050:00080/tcp") == fragments->begin()->second);

  // Rendered to what it was: no change.
  const auto again = renderer.apply(one);
  REQUIRE(again);
  CHECK(again->empty());
  CHECK(renderer.rendered() == 1004);

  plan::PlanChange removal;
  removal.ready = true;
  removal.vrrp_changed = true;
  removal.virtual_services[changed.key] = nullptr;
  const auto removed = renderer.apply(removal);
  REQUIRE(removed);
  CHECK(ids(*removed) == std::vector<std::string>{"1/vrrp/vips gone", "2/vs/010.004.000.050:00080/tcp gone"});
  CHECK(renderer.fragments().size() == 1000);
}

TEST_CASE("fragments compose in numerical order of address and port", "[render]") {
  const auto id = [](const char* address, std::uint16_t port, Protocol protocol = Protocol::tcp) {
    return fragment_id({.address = ip(address), .port = port, .protocol = protocol});
  };
  const std::vector<std::string> order = {"0/globals",           "1/vrrp/vips",
                                          id("9.0.0.10", 80),    id("10.0.0.9", 80),
                                          id("10.0.0.9", 443),   id("10.0.0.9", 443, Protocol::udp),
                                          id("10.0.0.9", 10000), id("10.0.0.10", 80),
                                          id("2001:db8::9", 80), id("2001:db8::10", 80)};
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(id("2001:db8::10", 80) == "2/vs/[2001:0db8:0000:0000:0000:0000:0000:0010]:00080/tcp");
}

TEST_CASE("a value that could end a word, a line or a block is refused, and nothing has changed",
          "[render][injection]") {
  for (const char* evil : {"/n.sh\n}", "/n.sh }", "/n.sh{", "/n.sh\"", "/n.sh#", "/n.sh!", "/n.sh$A", "/n.sh\\",
                           "/n.sh\t-x", "/n.sh\r", "'x'", "~SEQ(a,b)"}) {
    INFO(evil);
    Renderer renderer(Templates::built_in());
    auto vrrp = vips();
    vrrp.notify = evil;
    const auto applied = renderer.apply(with(vrrp, {web()}));
    REQUIRE_FALSE(applied);
    CHECK_THAT(applied.error().message, Catch::StartsWith("1/vrrp/vips: the value of notify cannot stand in a "
                                                          "configuration: ["));
    CHECK(renderer.fragments().empty());
  }
  auto service = web();
  service.service = "default/web\n}\nvirtual_server 1.2.3.4 5 {";
  CHECK_THAT(text_of(with(vips(), {service})),
             Catch::StartsWith("refused: 2/vs/010.004.000.050:00080/tcp: the value of service"));
}

}  // namespace
}  // namespace vipkeeper::render
