// The laws of Configuration::apply(): all or nothing, only what changed, work that grows with the change.
#include <catch2/catch.hpp>

#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

const std::string globals_text = "global_defs {\n  vrrp_version 3\n}\n";

std::string instance_text(const std::string& name, int vrid, const std::string& more = "") {
  return "vrrp_instance " + name + " {\n  interface eth0\n  virtual_router_id " + std::to_string(vrid) +
         "\n  priority 101\n  virtual_ipaddress {\n    10.4.0." + std::to_string(vrid) + "\n  }\n" + more + "}\n";
}

std::string server_text(int n, const std::string& real = "10.2.0.5") {
  const std::string address = "10.4." + std::to_string(n / 250) + "." + std::to_string(n % 250 + 1);
  return "# Service: default/web-" + std::to_string(n) + "\nvirtual_server " + address +
         " 80 {\n  delay_loop 5\n  lvs_sched wlc\n  lvs_method NAT\n  protocol TCP\n  real_server " + real +
         " 8080 {\n    weight 1\n    TCP_CHECK {\n      connect_timeout 3\n    }\n  }\n}\n";
}

VirtualServerKey key_of(int n) {
  VirtualServerKey key;
  key.address = *IpAddress::parse("10.4." + std::to_string(n / 250) + "." + std::to_string(n % 250 + 1));
  key.port = 80;
  return key;
}

std::string server_id(int n) { return "2/vs/" + std::to_string(100000 + n); }

// Globals, one instance and `count` virtual servers.
FragmentChange whole(int count) {
  auto change = change_of({{"0/globals", globals_text}, {"1/vrrp/vips", instance_text("vips", 50)}});
  for (int n = 0; n < count; ++n) change[server_id(n)] = fragment(server_id(n), server_text(n));
  return change;
}

TEST_CASE("a first apply gives everything, resolved", "[config][apply]") {
  Configuration configuration;
  const auto result = configuration.apply(whole(3));
  REQUIRE(result);
  CHECK(result->fragments_parsed == 5);
  CHECK(result->warnings.empty());
  CHECK(result->delta.vrrp_changed);
  REQUIRE(result->delta.instances.size() == 1);
  CHECK(result->delta.instances[0]->version == 3);
  CHECK(result->delta.virtual_servers.size() == 3);
  CHECK(configuration.virtual_server_count() == 3);
  REQUIRE(configuration.virtual_server(key_of(1)));
  CHECK(configuration.virtual_server(key_of(1))->comment == "default/web-1");
  CHECK_FALSE(configuration.virtual_server(key_of(3)));
}

TEST_CASE("one changed fragment of 5,000 is one parse and one virtual server in the delta", "[config][apply]") {
  Configuration configuration;
  const FragmentChange first = whole(5000);
  REQUIRE(configuration.apply(first));
  const auto result = configuration.apply({{server_id(77), fragment(server_id(77), server_text(77, "10.2.0.6"))}});
  REQUIRE(result);
  CHECK(result->fragments_parsed == 1);
  CHECK_FALSE(result->delta.vrrp_changed);
  REQUIRE(result->delta.virtual_servers.size() == 1);
  const auto& [key, server] = *result->delta.virtual_servers.begin();
  CHECK(key == key_of(77));
  CHECK(server->real_servers.at(0).address.to_string() == "10.2.0.6");

  SECTION("and the same fragments given again are parsed no more") {
    FragmentChange again = first;
    again.erase(server_id(77));
    const auto nothing = configuration.apply(again);
    REQUIRE(nothing);
    CHECK(nothing->fragments_parsed == 0);
    CHECK(nothing->delta.virtual_servers.empty());
    CHECK_FALSE(nothing->delta.vrrp_changed);
  }
}

TEST_CASE("a text that says the same in other words changes nothing", "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply(whole(2)));
  std::string reworded = server_text(1);
  reworded.replace(reworded.find("delay_loop 5"), 12, "delay_loop 5.0 # seconds");
  const auto result =
      configuration.apply({{server_id(1), fragment(server_id(1), reworded)},
                           {"1/vrrp/vips", fragment("1/vrrp/vips", "# moved\n" + instance_text("vips", 50))}});
  REQUIRE(result);
  CHECK(result->fragments_parsed == 2);
  CHECK(result->delta.virtual_servers.empty());
  CHECK_FALSE(result->delta.vrrp_changed);
  CHECK(result->delta.instances.empty());
}

TEST_CASE("a bad fragment among good ones changes nothing at all", "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply(whole(3)));
  const auto before = configuration.virtual_server(key_of(1));
  const auto instance = configuration.instances().at(0);
  FragmentChange change = change_of({{"1/vrrp/vips", instance_text("vips", 51)}});
  change[server_id(0)] = nullptr;
  change[server_id(1)] = fragment(server_id(1), server_text(1, "10.2.0.300"), 40);
  change[server_id(9)] = fragment(server_id(9), server_text(9));
  const auto result = configuration.apply(change);
  REQUIRE_FALSE(result);
  REQUIRE(result.error().size() == 1);
  CHECK(result.error()[0].to_string() ==
        "test.conf:46:15: error: 'real_server 10.2.0.300 8080': '10.2.0.300' is not an IP address");
  CHECK(configuration.virtual_server_count() == 3);
  CHECK(configuration.virtual_server(key_of(1)) == before);
  CHECK(configuration.virtual_server(key_of(0)));
  CHECK_FALSE(configuration.virtual_server(key_of(9)));
  CHECK(configuration.instances().at(0) == instance);

  // What was refused left no trace: the good part alone is still a change.
  change.erase(server_id(1));
  const auto retried = configuration.apply(change);
  REQUIRE(retried);
  CHECK(retried->delta.vrrp_changed);
  CHECK(retried->delta.virtual_servers.size() == 2);
  CHECK(retried->delta.virtual_servers.at(key_of(0)) == nullptr);
}

TEST_CASE("two fragments may not define one virtual_server, in one change or in two", "[config][apply]") {
  Configuration configuration;
  REQUIRE_FALSE(
      configuration.apply({{"2/a", fragment("2/a", server_text(1))}, {"2/b", fragment("2/b", server_text(1))}}));
  REQUIRE(configuration.apply({{"2/a", fragment("2/a", server_text(1))}}));
  const auto second = configuration.apply({{"2/b", fragment("2/b", server_text(1), 100)}});
  REQUIRE_FALSE(second);
  REQUIRE(second.error().size() == 1);
  CHECK(second.error()[0].where.line == 101);
  CHECK(second.error()[0].message.find("first in test.conf:2:1") != std::string::npos);

  SECTION("but a virtual_server may move from one fragment to another in one change") {
    const auto moved = configuration.apply({{"2/a", nullptr}, {"2/b", fragment("2/b", server_text(1))}});
    REQUIRE(moved);
    CHECK(moved->delta.virtual_servers.empty());
    CHECK(configuration.virtual_server(key_of(1)));
    const auto gone = configuration.apply({{"2/b", nullptr}});
    REQUIRE(gone);
    CHECK(gone->delta.virtual_servers == decltype(gone->delta.virtual_servers){{key_of(1), nullptr}});
  }
}

TEST_CASE("two fragments may swap their virtual_servers", "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply({{"2/a", fragment("2/a", server_text(1))}, {"2/b", fragment("2/b", server_text(2))}}));
  const auto swapped =
      configuration.apply({{"2/a", fragment("2/a", server_text(2))}, {"2/b", fragment("2/b", server_text(1))}});
  REQUIRE(swapped);
  CHECK(swapped->delta.virtual_servers.empty());
  const auto removed = configuration.apply({{"2/a", nullptr}});
  REQUIRE(removed);
  CHECK(configuration.virtual_server(key_of(1)));
  CHECK_FALSE(configuration.virtual_server(key_of(2)));
}

TEST_CASE("a change of globals resolves the instances again and parses nothing else", "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply(whole(10)));
  const auto result = configuration.apply(change_of({{"0/globals", "global_defs {\n  vrrp_version 2\n}\n"}}));
  REQUIRE(result);
  CHECK(result->fragments_parsed == 1);
  CHECK(result->delta.vrrp_changed);
  CHECK(result->delta.instances.at(0)->version == 2);
  CHECK(result->delta.virtual_servers.empty());
  const auto removed = configuration.apply({{"0/globals", nullptr}});
  REQUIRE(removed);
  CHECK_FALSE(removed->delta.globals.vrrp_version);
}

TEST_CASE("an instance that did not change keeps its pointer when another one does", "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply(change_of({{"1/vrrp/a", instance_text("a", 1)}, {"1/vrrp/b", instance_text("b", 2)}})));
  const auto a = configuration.instances().at(0);
  const auto result = configuration.apply(change_of({{"1/vrrp/b", instance_text("b", 3)}}));
  REQUIRE(result);
  REQUIRE(result->delta.instances.size() == 2);
  CHECK(result->delta.instances[0] == a);
  CHECK(result->delta.instances[1]->vrid == 3);
}

TEST_CASE("a script may be defined in another fragment, and not be taken away while it is tracked", "[config][apply]") {
  Configuration configuration;
  const std::string tracking = instance_text("a", 1, "  track_script {\n    chk\n  }\n");
  const auto script = fragment("1/script/chk", "vrrp_script chk {\n  script /bin/true\n  weight -2\n}\n");
  REQUIRE_FALSE(configuration.apply(change_of({{"1/vrrp/a", tracking}})));
  REQUIRE(configuration.apply({{"1/script/chk", script}, {"1/vrrp/a", fragment("1/vrrp/a", tracking)}}));
  CHECK(configuration.instances().at(0)->track_scripts.at(0).weight == -2);
  const auto removed = configuration.apply({{"1/script/chk", nullptr}});
  REQUIRE_FALSE(removed);
  CHECK(removed.error().at(0).to_string() ==
        "test.conf:9:5: error: track_script 'chk' in vrrp_instance a is not defined: add 'vrrp_script chk { ... }'");
  CHECK(configuration.scripts().size() == 1);
}

TEST_CASE("unicast instances may share an interface and a VRID if they have no peer in common", "[config][apply]") {
  const auto peers = [](const std::string& peer) { return "  unicast_peer {\n    " + peer + "\n  }\n"; };
  CHECK(Configuration().apply(change_of(
      {{"1/a", instance_text("a", 1, peers("10.0.0.2"))}, {"1/b", instance_text("b", 1, peers("10.0.0.3"))}})));
  CHECK_FALSE(Configuration().apply(change_of(
      {{"1/a", instance_text("a", 1, peers("10.0.0.2"))}, {"1/b", instance_text("b", 1, peers("10.0.0.2"))}})));
  CHECK_FALSE(Configuration().apply(change_of({{"1/a", instance_text("a", 1)}, {"1/b", instance_text("b", 1)}})));
  CHECK(Configuration().apply(
      change_of({{"1/a", instance_text("a", 1)}, {"1/b", instance_text("b", 1, "  mcast_dst_ip 224.0.0.19\n")}})));
}

TEST_CASE("of two deltas the newer wins, virtual server by virtual server", "[config][merge]") {
  const auto one = std::make_shared<const VirtualServer>();
  const auto two = std::make_shared<const VirtualServer>();
  const auto instance = std::make_shared<const VrrpInstance>();
  ConfigDelta older;
  older.vrrp_changed = true;
  older.instances = {instance};
  older.virtual_servers = {{key_of(1), one}, {key_of(2), one}, {key_of(3), nullptr}};
  ConfigDelta newer;
  newer.virtual_servers = {{key_of(2), nullptr}, {key_of(3), two}};
  const ConfigDelta merged = merge(older, newer);
  CHECK(merged.vrrp_changed);
  CHECK(merged.instances == older.instances);
  CHECK(merged.virtual_servers ==
        decltype(merged.virtual_servers){{key_of(1), one}, {key_of(2), nullptr}, {key_of(3), two}});
  newer.vrrp_changed = true;
  CHECK(merge(older, newer).instances.empty());
}

}  // namespace
}  // namespace vipkeeper::config
