// The laws of Configuration::apply(): only what changed, what is bad alone is left out, work that grows with the
// change.
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
  CHECK(result->problems.empty());
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

TEST_CASE("a bad fragment among good ones keeps the form that runs, and holds up no other", "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply(whole(3)));
  const auto before = configuration.virtual_server(key_of(1));
  FragmentChange change = change_of({{"1/vrrp/vips", instance_text("vips", 51)}});
  change[server_id(0)] = nullptr;
  change[server_id(1)] = fragment(server_id(1), server_text(1, "10.2.0.300"), 40);
  change[server_id(9)] = fragment(server_id(9), server_text(9));
  const auto result = configuration.apply(change);
  REQUIRE(result);
  const std::vector<std::string> expected = {
      "test.conf:41:1: error: 'virtual_server 10.4.0.2 80' is left out: none of its real_servers can be used",
      "test.conf:41:1: error: virtual_server tcp 10.4.0.2:80 stays as it runs until this is mended: its last good form",
      "test.conf:46:15: error: 'real_server 10.2.0.300 8080': '10.2.0.300' is not an IP address, it is left out"};
  CHECK(lines_of(result->problems) == expected);
  CHECK(result->delta.virtual_servers.size() == 2);
  CHECK_FALSE(result->delta.virtual_servers.contains(key_of(1)));
  CHECK(configuration.virtual_server(key_of(1)) == before);
  CHECK_FALSE(configuration.virtual_server(key_of(0)));
  CHECK(configuration.virtual_server(key_of(9)));
  CHECK(configuration.instances().at(0)->vrid == 51);

  SECTION("and is told of until it is mended") {
    REQUIRE(configuration.apply({{server_id(2), nullptr}}));
    CHECK(lines_of(configuration.problems()) == expected);
    const auto mended = configuration.apply({{server_id(1), fragment(server_id(1), server_text(1, "10.2.0.7"), 40)}});
    REQUIRE(mended);
    CHECK(configuration.problems().empty());
    CHECK(mended->delta.virtual_servers.at(key_of(1))->real_servers.at(0).address.to_string() == "10.2.0.7");
  }
  SECTION("or it is gone") {
    const auto gone = configuration.apply({{server_id(1), nullptr}});
    REQUIRE(gone);
    CHECK(gone->delta.virtual_servers == decltype(gone->delta.virtual_servers){{key_of(1), nullptr}});
    CHECK(configuration.problems().empty());
  }
}

TEST_CASE("a text that leaves nothing to run is refused whole, and what runs goes on", "[config][apply]") {
  const auto bad_instance = [](const std::string& name) {
    return fragment("1/vrrp/" + name, "vrrp_instance " + name + " {\n  interface eth0\n}\n");
  };
  Configuration configuration;
  CHECK_FALSE(configuration.apply({{"1/vrrp/vips", bad_instance("vips")}}));
  CHECK(configuration.fragment_count() == 0);
  REQUIRE(configuration.apply(whole(1)));
  const auto instance = configuration.instances().at(0);
  const FragmentChange other_text = {{"1/vrrp/vips", nullptr},
                                     {"0/globals", nullptr},
                                     {server_id(0), nullptr},
                                     {"1/vrrp/other", bad_instance("other")}};
  const auto refused = configuration.apply(other_text);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().at(0).message.find("vrrp_instance other is left out") != std::string::npos);
  CHECK(configuration.instances().at(0) == instance);
  CHECK(configuration.virtual_server(key_of(0)));
  CHECK(configuration.problems().empty());
}

TEST_CASE("of two fragments with one virtual_server the first counts, and the second once it is gone",
          "[config][apply]") {
  Configuration configuration;
  REQUIRE(configuration.apply({{"2/a", fragment("2/a", server_text(1))}}));
  const auto second = configuration.apply({{"2/b", fragment("2/b", server_text(1, "10.2.0.9"), 100)}});
  REQUIRE(second);
  CHECK(second->delta.virtual_servers.empty());
  REQUIRE(second->problems.size() == 1);
  CHECK(second->problems[0].where.line == 101);
  CHECK(second->problems[0].message.find("first in test.conf:2:1, the first counts") != std::string::npos);
  CHECK(configuration.virtual_server(key_of(1))->real_servers.at(0).address.to_string() == "10.2.0.5");
  CHECK(lines_of(configuration.problems()) == lines_of(second->problems));

  SECTION("the first is removed") {
    const auto alone = configuration.apply({{"2/a", nullptr}});
    REQUIRE(alone);
    CHECK(alone->delta.virtual_servers.at(key_of(1))->real_servers.at(0).address.to_string() == "10.2.0.9");
    CHECK(configuration.problems().empty());
  }
  SECTION("the first becomes unusable") {
    const auto unusable = configuration.apply({{"2/a", fragment("2/a", server_text(1, "x"))}});
    REQUIRE(unusable);
    CHECK(unusable->delta.virtual_servers.at(key_of(1))->real_servers.at(0).address.to_string() == "10.2.0.9");
  }
  SECTION("the second is removed") {
    const auto alone = configuration.apply({{"2/b", nullptr}});
    REQUIRE(alone);
    CHECK(alone->delta.virtual_servers.empty());
    CHECK(configuration.virtual_server(key_of(1)));
    CHECK(configuration.problems().empty());
  }
  SECTION("the block moves from the first to the second in one change") {
    const auto moved = configuration.apply({{"2/a", nullptr}, {"2/b", fragment("2/b", server_text(1))}});
    REQUIRE(moved);
    CHECK(moved->delta.virtual_servers.empty());
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

TEST_CASE("a script may be defined in another fragment, and is tracked no more where it is gone", "[config][apply]") {
  Configuration configuration;
  const std::string tracking = instance_text("a", 1, "  track_script {\n    chk\n  }\n");
  const auto script = fragment("1/script/chk", "vrrp_script chk {\n  script /bin/true\n  weight -2\n}\n");
  REQUIRE(configuration.apply({{"1/script/chk", script}, {"1/vrrp/a", fragment("1/vrrp/a", tracking)}}));
  CHECK(configuration.instances().at(0)->track_scripts.at(0).weight == -2);

  SECTION("removed") {
    const auto removed = configuration.apply({{"1/script/chk", nullptr}});
    REQUIRE(removed);
    CHECK(lines_of(removed->problems) ==
          std::vector<std::string>{"test.conf:9:5: error: track_script 'chk' in vrrp_instance a is left out: it is not "
                                   "defined, add 'vrrp_script chk { ... }'"});
    CHECK(configuration.instances().at(0)->track_scripts.empty());
    CHECK(configuration.scripts().empty());
  }
  SECTION("become unusable: the one that runs stays") {
    const auto unusable = configuration.apply(change_of({{"1/script/chk", "vrrp_script chk {\n}\n"}}));
    REQUIRE(unusable);
    CHECK_FALSE(unusable->delta.vrrp_changed);
    CHECK(lines_of(unusable->problems) ==
          std::vector<std::string>{
              "test.conf:1:13: error: vrrp_script chk is left out: it has no 'script', add 'script \"COMMAND\"'",
              "test.conf:1:13: error: vrrp_script chk stays as it runs until this is mended: its last good form"});
    CHECK(configuration.instances().at(0)->track_scripts.size() == 1);
  }
}

TEST_CASE("an instance that becomes unusable stays as it runs, said as long as it is so", "[config][apply]") {
  Configuration configuration;
  const auto script = fragment("1/script/chk", "vrrp_script chk {\n  script /bin/true\n}\n");
  FragmentChange first = change_of(
      {{"1/vrrp/a", instance_text("a", 1, "  track_script {\n    chk\n  }\n")}, {"1/vrrp/b", instance_text("b", 2)}});
  first["1/script/chk"] = script;
  REQUIRE(configuration.apply(first));
  const auto running = configuration.instances().at(0);
  std::string no_vrid = instance_text("a", 1);
  no_vrid.erase(no_vrid.find("  virtual_router_id"), 22);
  const auto unusable = configuration.apply(change_of({{"1/vrrp/a", no_vrid}, {"1/vrrp/b", instance_text("b", 3)}}));
  REQUIRE(unusable);
  const std::vector<std::string> expected = {
      "test.conf:1:15: error: vrrp_instance a is left out: it has no 'virtual_router_id', add one from 1 to 255, the "
      "same on all its nodes",
      "test.conf:1:15: error: vrrp_instance a stays as it runs until this is mended: its last good form, "
      "virtual_router_id 1 on eth0"};
  CHECK(lines_of(unusable->problems) == expected);
  REQUIRE(unusable->delta.instances.size() == 2);
  CHECK(unusable->delta.instances[0] == running);
  CHECK(unusable->delta.instances[1]->vrid == 3);

  SECTION("through a change elsewhere") {
    REQUIRE(configuration.apply(change_of({{"1/vrrp/b", instance_text("b", 4)}})));
    CHECK(configuration.instances().at(0) == running);
    CHECK(lines_of(configuration.problems()) == expected);
  }
  SECTION("but not where another takes its place") {
    const auto taken = configuration.apply(change_of({{"1/vrrp/0", instance_text("0", 1)}}));
    REQUIRE(taken);
    REQUIRE(configuration.instances().size() == 2);
    CHECK(configuration.instances()[0]->name == "0");
    CHECK(configuration.instances()[1]->name == "b");
  }
  SECTION("without a script that is gone") {
    REQUIRE(configuration.apply({{"1/script/chk", nullptr}}));
    CHECK(configuration.instances().at(0)->vrid == 1);
    CHECK(configuration.instances().at(0)->track_scripts.empty());
  }
  SECTION("until it is gone") {
    REQUIRE(configuration.apply({{"1/vrrp/a", nullptr}, {"1/script/chk", nullptr}}));
    REQUIRE(configuration.instances().size() == 1);
    CHECK(configuration.problems().empty());
  }
}

TEST_CASE("an engine that starts does without what one that ran would have kept", "[config][apply]") {
  Configuration configuration;
  const auto started = configuration.apply(change_of({{"1/vrrp/a", "vrrp_instance a {\n}\n"},
                                                      {"1/vrrp/b", instance_text("b", 2)},
                                                      {"2/s", "virtual_server x {\n}\n"}}));
  REQUIRE(started);
  REQUIRE(started->delta.instances.size() == 1);
  CHECK(started->delta.instances[0]->name == "b");
  CHECK(started->delta.virtual_servers.empty());
}

TEST_CASE("an instance is left out where it might run as another than its peers take it for", "[config][apply]") {
  const auto runs = [](const std::string& more) {
    const ConfigDelta delta = parse_good(instance_text("a", 1, more) + instance_text("b", 2));
    return delta.instances.size() == 2;
  };
  CHECK(runs(""));
  CHECK(runs("  authentication {\n    auth_type PASS\n    auth_pass x\n  }\n"));
  CHECK_FALSE(runs("  authentication {\n    auth_type PASS\n    auth_pass \"x\n  }\n"));
  CHECK_FALSE(runs("  authentication\n"));
  CHECK_FALSE(runs("  authentication {\n    auth_type AH\n    auth_pass x\n  }\n"));
  CHECK_FALSE(runs("  unicast_peer {\n    node2\n  }\n"));
  CHECK_FALSE(runs("  unicast_peer {\n    2001:db8::2\n  }\n"));
  CHECK_FALSE(runs("  unicast_peer\n"));
  CHECK_FALSE(runs("  unicast_peer {\n    \"10.0.0.2\n  }\n"));
  CHECK_FALSE(runs("  mcast_dst_ip 10.0.0.2\n"));
  CHECK_FALSE(runs("  mcast_dst_ip ff02::12\n"));
  CHECK_FALSE(runs("  mcast_dst_ip \"224.0.0.19\n"));
  CHECK_FALSE(runs("  include peers.conf\n"));
  CHECK_FALSE(runs("  virtual_router_id ${_VRID}\n"));
  CHECK_FALSE(runs("  {\n    unicast_peer {\n      10.0.0.2\n    }\n  }\n"));
  // A line less that plays no part between peers.
  CHECK(runs("  notify \"/bin/true\n"));
  CHECK(runs("  mcast_src_ip x\n"));
  CHECK(runs("  {\n  }\n"));
  CHECK(runs("  track_interface eth1\n"));
}

TEST_CASE("a brace missing or too many costs the block that it makes doubtful", "[config][apply][braces]") {
  const auto names = [](const std::string& text) {
    std::string result;
    for (const auto& instance : parse_good(text).instances) result += instance->name;
    return result;
  };
  const std::string a = instance_text("a", 1, "  unicast_peer {\n    10.0.0.2\n  }\n");
  const std::string z = instance_text("z", 2);
  const auto cut = [&](const std::string& what, const std::string& by) {
    std::string text = a;
    const auto place = text.find(what);
    REQUIRE(place != std::string::npos);
    return text.replace(place, what.size(), by);
  };
  CHECK(names(a + z) == "az");
  // At its very end nothing is in doubt.
  CHECK(names(a.substr(0, a.size() - 2) + z) == "az");
  CHECK(names(z + a.substr(0, a.size() - 2)) == "az");
  CHECK(names(a + "}\n" + z) == "az");
  // A block inside that took in what follows it, or is open where the text ends.
  CHECK(names(cut("10.4.0.1\n  }\n", "10.4.0.1\n") + z) == "z");
  CHECK(names(z + a.substr(0, a.size() - 6)) == "z");
  // Closed too early: what is behind it told who the peers are.
  CHECK(names(cut("10.4.0.1\n  }\n", "10.4.0.1\n  }\n}\n") + z) == "z");
}

TEST_CASE("with a bad multicast group in global_defs only instances that need it are left out", "[config][apply]") {
  const ConfigDelta delta = parse_good("global_defs {\n  vrrp_mcast_group4 10.0.0.1\n}\n" + instance_text("a", 1) +
                                       instance_text("b", 2, "  mcast_dst_ip 224.0.0.19\n") +
                                       instance_text("c", 3, "  unicast_peer {\n    10.0.0.2\n  }\n"));
  REQUIRE(delta.instances.size() == 2);
  CHECK(delta.instances[0]->name == "b");
  CHECK(delta.instances[1]->name == "c");
}

TEST_CASE("of two instances that share interface and VRID the second by lines is left out", "[config][apply]") {
  const auto peers = [](const std::string& peer) { return "  unicast_peer {\n    " + peer + "\n  }\n"; };
  const auto count = [](const std::string& a, const std::string& b) {
    Configuration configuration;
    REQUIRE(configuration.apply({{"1/a", fragment("1/a", instance_text("a", 1, a), 100)},
                                 {"1/b", fragment("1/b", instance_text("b", 1, b), 10)}}));
    CHECK(configuration.instances().back()->name == "b");
    return configuration.instances().size();
  };
  CHECK(count(peers("10.0.0.2"), peers("10.0.0.3")) == 2);
  CHECK(count(peers("10.0.0.2"), peers("10.0.0.2")) == 1);
  CHECK(count("", "") == 1);
  CHECK(count("", peers("10.0.0.2")) == 1);
  CHECK(count("", "  mcast_dst_ip 224.0.0.19\n") == 2);
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
