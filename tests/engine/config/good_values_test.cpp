// Every keyword with a good value, and what it means in the resolved configuration. A row is one statement in an
// otherwise plain block; none of them may give a problem.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

using namespace std::chrono_literals;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

template <class Value>
struct GoodRow {
  const char* text;
  bool (*means)(const Value&);
};

void require_silent(const std::string& text) {
  const auto problems = problems_in("test.conf", text);
  CAPTURE(text, lines_of(problems));
  CHECK(problems.empty());
}

std::string instance_with(const std::string& statement, const std::string& before = "") {
  const bool has_addresses = statement.find("virtual_ipaddress") != std::string::npos;
  return before + "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n" + statement + "\n" +
         (has_addresses ? "" : "  virtual_ipaddress {\n    192.0.2.1\n  }\n") + "}\n";
}

using I = VrrpInstance;
constexpr GoodRow<VrrpInstance> instance_rows[] = {
    {"", [](const I& i) { return i.priority == 100 && i.version == 2 && i.preempt && i.accept && !i.wants_master; }},
    {"state MASTER", [](const I& i) { return i.wants_master && i.priority == 255; }},
    {"state BACKUP", [](const I& i) { return !i.wants_master && i.priority == 100; }},
    {"priority 255", [](const I& i) { return i.wants_master && i.priority == 255; }},
    {"priority 1", [](const I& i) { return i.priority == 1; }},
    {"state MASTER\n priority 101", [](const I& i) { return i.wants_master && i.priority == 101; }},
    {"virtual_router_id 255", [](const I& i) { return i.vrid == 255; }},
    {"interface bond0.120",
     [](const I& i) { return i.interface == "bond0.120" && i.addresses[0].interface == "bond0.120"; }},
    {"version 3", [](const I& i) { return i.version == 3; }},
    {"advert_int 3", [](const I& i) { return i.advert_interval == 3s; }},
    {"version 3\n advert_int 0.01", [](const I& i) { return i.advert_interval == 10ms; }},
    {"version 3\n advert_int 40.95", [](const I& i) { return i.advert_interval == 40950ms; }},
    {"version 3\n advert_int .5", [](const I& i) { return i.advert_interval == 500ms; }},
    {"nopreempt", [](const I& i) { return !i.preempt; }},
    {"preempt", [](const I& i) { return i.preempt; }},
    {"preempt_delay 2.5", [](const I& i) { return i.preempt_delay == 2500ms; }},
    {"accept", [](const I& i) { return i.accept; }},
    {"unicast_src_ip 10.0.0.1", [](const I& i) { return i.source == address("10.0.0.1"); }},
    {"mcast_src_ip 10.0.0.1", [](const I& i) { return i.source == address("10.0.0.1"); }},
    {"mcast_dst_ip 224.0.0.19", [](const I& i) { return i.multicast_group == address("224.0.0.19"); }},
    {"unicast_peer {\n 10.0.0.2\n 10.0.0.3\n}",
     [](const I& i) { return i.unicast_peers == std::vector{address("10.0.0.2"), address("10.0.0.3")}; }},
    {"unicast_peer { 10.0.0.2 }",
     [](const I& i) { return i.unicast && i.unicast_peers == std::vector{address("10.0.0.2")}; }},
    {"unicast_peer { }", [](const I& i) { return i.unicast && i.unicast_peers.empty(); }},
    {"unicast_peer {\n}", [](const I& i) { return i.unicast && i.unicast_peers.empty(); }},
    {"", [](const I& i) { return !i.unicast && i.unicast_peers.empty(); }},
    {"v3_checksum_as_v2", [](const I& i) { return i.v3_checksum_as_v2; }},
    {"v3_checksum_as_v2 off", [](const I& i) { return !i.v3_checksum_as_v2; }},
    {"down_timer_adverts 5", [](const I& i) { return i.down_timer_adverts == 5; }},
    {"authentication {\n auth_type PASS\n auth_pass 42\n}", [](const I& i) { return i.auth_password == "42"; }},
    {"authentication {\n auth_pass \"a b#{}!\"\n auth_type PASS\n}",
     [](const I& i) { return i.auth_password == "a b#{}!"; }},
    {"dont_track_primary", [](const I& i) { return !i.track_primary_interface; }},
    {"track_interface {\n eth1\n eth2 weight -20\n eth3 weight 10 reverse\n}",
     [](const I& i) {
       return i.track_interfaces ==
              std::vector<TrackedInterface>{{"eth1", 0, false}, {"eth2", -20, false}, {"eth3", 10, true}};
     }},
    {"garp_master_repeat 3", [](const I& i) { return i.announce.repeat == 3; }},
    {"garp_master_repeat 0", [](const I& i) { return i.announce.repeat == 1; }},
    {"garp_master_delay 0", [](const I& i) { return i.announce.delay == 0s; }},
    {"garp_master_refresh 60", [](const I& i) { return i.announce.refresh == 60s; }},
    {"garp_master_refresh_repeat 2", [](const I& i) { return i.announce.refresh_repeat == 2; }},
    {"notify /usr/bin/state", [](const I& i) { return i.notify.any == "/usr/bin/state"; }},
    {"notify_master \"/bin/up \\\"now\\\"\"", [](const I& i) { return i.notify.master == "/bin/up \"now\""; }},
    {"notify_backup /b", [](const I& i) { return i.notify.backup == "/b"; }},
    {"notify_fault /f", [](const I& i) { return i.notify.fault == "/f"; }},
    {"notify_stop /s", [](const I& i) { return i.notify.stop == "/s"; }},
    {"smtp_alert", [](const I&) { return true; }},
    {"skip_check_adv_addr", [](const I&) { return true; }},
    {"virtual_ipaddress {\n 192.0.2.1/24\n}",
     [](const I& i) { return i.addresses[0].prefix.to_string() == "192.0.2.1/24"; }},
    {"virtual_ipaddress { 192.0.2.1 }", [](const I& i) { return i.addresses[0].prefix.to_string() == "192.0.2.1/32"; }},
    {"virtual_ipaddress\n{\n 192.0.2.1/24 dev eth1\n}", [](const I& i) { return i.addresses[0].interface == "eth1"; }},
    {"virtual_ipaddress { 192.0.2.1/24 dev eth0 label eth0:1 }",
     [](const I& i) { return i.addresses[0].label == "eth0:1"; }},
    {"virtual_ipaddress {\n 192.0.2.1/24 brd + scope link no_track\n}",
     [](const I& i) {
       const VirtualAddress& a = i.addresses[0];
       return a.broadcast == address("192.0.2.255") && a.scope == Scope::link && a.no_track;
     }},
    {"virtual_ipaddress {\n 192.0.2.1/24 brd 192.0.2.127\n 192.0.2.2/24 brd -\n}",
     [](const I& i) { return i.addresses[0].broadcast == address("192.0.2.127") && !i.addresses[1].broadcast; }},
    {"virtual_ipaddress {\n 192.0.2.1\n}\nvirtual_ipaddress_excluded {\n 192.0.2.2 dev eth1\n}",
     [](const I& i) {
       return i.addresses.size() == 1 && i.excluded_addresses.size() == 1 &&
              i.excluded_addresses[0].interface == "eth1";
     }},
};

TEST_CASE("each vrrp_instance keyword means what keepalived takes it for", "[config][vrrp_instance]") {
  for (const auto& row : instance_rows) {
    const std::string text = instance_with(row.text);
    require_silent(text);
    CAPTURE(text);
    CHECK(row.means(only_instance(text)));
  }
}

using G = ConfigDelta;
constexpr GoodRow<ConfigDelta> global_rows[] = {
    {"vrrp_version 3", [](const G& g) { return g.globals.vrrp_version == 3 && g.instances[0]->version == 3; }},
    {"vrrp_mcast_group4 224.0.0.20",
     [](const G& g) {
       return g.instances[0]->multicast_group == address("224.0.0.20") &&
              g.globals.multicast_group == address("224.0.0.20");
     }},
    {"router_id LVS_DEVEL", [](const G& g) { return g.globals.router_id == "LVS_DEVEL"; }},
    {"script_user root", [](const G& g) { return g.globals.script_user == "root"; }},
    {"script_user nobody nogroup", [](const G& g) { return g.globals.script_user == "nobody nogroup"; }},
    {"enable_script_security", [](const G& g) { return g.globals.enable_script_security; }},
    {"vrrp_rt_priority 50", [](const G& g) { return g.globals.realtime_priority == 50 && !g.globals.lock_memory; }},
    {"vrrp_no_swap", [](const G& g) { return g.globals.lock_memory && g.globals.realtime_priority == 0; }},
    {"vrrp_garp_master_repeat 2", [](const G& g) { return g.instances[0]->announce.repeat == 2; }},
    {"vrrp_garp_master_delay 10", [](const G& g) { return g.instances[0]->announce.delay == 10s; }},
    {"vrrp_garp_master_refresh 60", [](const G& g) { return g.instances[0]->announce.refresh == 60s; }},
    {"vrrp_garp_master_refresh_repeat 3", [](const G& g) { return g.instances[0]->announce.refresh_repeat == 3; }},
    {"vrrp_min_garp",
     [](const G& g) { return g.instances[0]->announce.repeat == 1 && g.instances[0]->announce.delay == 0s; }},
    {"v3_checksum_as_v2", [](const G& g) { return g.instances[0]->v3_checksum_as_v2; }},
    {"vrrp_strict", [](const G& g) { return !g.instances[0]->accept; }},
    {"vrrp_strict off", [](const G& g) { return g.instances[0]->accept; }},
    {"default_interface eth7", [](const G& g) { return g.instances[0]->interface == "eth0"; }},
    {"notification_email_from a@b\nsmtp_server 127.0.0.1\nsmtp_connect_timeout "
     "30\nvrrp_skip_check_adv_addr\nmax_auto_priority -1",
     [](const G&) { return true; }},
};

TEST_CASE("each global_defs keyword reaches the instances that do not say otherwise", "[config][global_defs]") {
  for (const auto& row : global_rows) {
    const std::string text = instance_with("", "global_defs {\n" + std::string(row.text) + "\n}\n");
    require_silent(text);
    CAPTURE(text);
    CHECK(row.means(parse_good(text)));
  }
}

TEST_CASE("a word of global_defs that changes nothing here is one warning that says why", "[config][global_defs]") {
  for (const char* word :
       {"checker_rt_priority 20", "vrrp_rlimit_rttime 10000", "rlimit_rttime 10000", "checker_no_swap",
        "vrrp_priority -20", "vrrp_cpu_affinity 1 2", "process_names", "vrrp_netlink_cmd_rcv_bufs 1000000",
        "vrrp_rx_bufs_policy MTU", "umask 022", "use_pid_dir", "snmp_socket unix:/x", "dbus_service_name x",
        "max_auto_priority", "max_auto_priority 50", "min_auto_priority_delay 1000", "rs_init_notifies"}) {
    const auto problems = problems_in("test.conf", instance_with("", "global_defs {\n " + std::string(word) + "\n}\n"));
    CAPTURE(word, lines_of(problems));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].severity == Severity::warning);
    CHECK(problems[0].where.line == 2);
    const std::string name = std::string(word).substr(0, std::string(word).find(' '));
    CHECK_THAT(problems[0].message, Catch::StartsWith("'" + name + "' has no effect: "));
  }
}

TEST_CASE("a priority that no thread can have is a warning, and none is used", "[config][global_defs]") {
  for (const char* word : {"vrrp_rt_priority 0", "vrrp_rt_priority 100", "vrrp_rt_priority high", "vrrp_rt_priority"}) {
    const std::string text = instance_with("", "global_defs {\n " + std::string(word) + "\n}\n");
    CAPTURE(word);
    CHECK(problems_in("test.conf", text).size() == 1);
    CHECK(parse_good(text).globals.realtime_priority == 0);
  }
}

TEST_CASE("what an instance says wins over global_defs", "[config][global_defs]") {
  const std::string globals = "global_defs {\n vrrp_version 3\n vrrp_garp_master_repeat 2\n vrrp_strict\n}\n";
  const VrrpInstance instance =
      only_instance(instance_with("version 2\ngarp_master_repeat 4\nstrict_mode off", globals));
  CHECK(instance.version == 2);
  CHECK(instance.announce.repeat == 4);
  CHECK(instance.accept);
}

TEST_CASE("default_interface stands in for a missing interface", "[config][global_defs]") {
  const VrrpInstance instance = only_instance(
      "global_defs {\n default_interface eth7\n}\nvrrp_instance a {\n virtual_router_id 1\n virtual_ipaddress { "
      "192.0.2.1 }\n}\n");
  CHECK(instance.interface == "eth7");
  CHECK(instance.addresses[0].interface == "eth7");
}

using S = VrrpScript;
constexpr GoodRow<VrrpScript> script_rows[] = {
    {"", [](const S& s) { return s.interval == 1s && s.timeout == 0s && s.rise == 1 && s.fall == 1 && s.weight == 0; }},
    {"interval 3", [](const S& s) { return s.interval == 3s; }},
    {"interval 0.5", [](const S& s) { return s.interval == 500ms; }},
    {"timeout 2", [](const S& s) { return s.timeout == 2s; }},
    {"weight -253", [](const S& s) { return s.weight == -253 && !s.reverse; }},
    {"weight 254", [](const S& s) { return s.weight == 253; }},
    {"weight 20 reverse", [](const S& s) { return s.weight == 20 && s.reverse; }},
    {"rise 2", [](const S& s) { return s.rise == 2; }},
    {"fall 10", [](const S& s) { return s.fall == 10; }},
    {"init_fail", [](const S& s) { return s.init_fail; }},
    {"user nobody", [](const S& s) { return s.user == "nobody"; }},
    {"user nobody nogroup", [](const S& s) { return s.user == "nobody nogroup"; }},
    {"script \"/usr/bin/timeout 2 /bin/x # no comment\"",
     [](const S& s) { return s.command == "/usr/bin/timeout 2 /bin/x # no comment"; }},
    {"script killall -0 haproxy", [](const S& s) { return s.command == "killall -0 haproxy"; }},
};

TEST_CASE("each vrrp_script keyword means what keepalived takes it for", "[config][vrrp_script]") {
  for (const auto& row : script_rows) {
    const std::string script = "vrrp_script chk {\n script /bin/true\n" + std::string(row.text) + "\n}\n";
    const std::string text = instance_with("track_script {\n chk\n}", script);
    require_silent(text);
    CAPTURE(text);
    CHECK(row.means(only_script(text)));
  }
}

TEST_CASE("a track_script has the weight of its vrrp_script unless it says one", "[config][vrrp_script]") {
  const std::string script = "vrrp_script chk {\n script /bin/true\n weight -5 reverse\n}\n";
  CHECK(only_instance(instance_with("track_script {\n chk\n}", script)).track_scripts ==
        std::vector<TrackedScript>{{"chk", -5, true}});
  CHECK(only_instance(instance_with("track_script {\n chk weight 7\n}", script)).track_scripts ==
        std::vector<TrackedScript>{{"chk", 7, false}});
  CHECK(only_instance(instance_with("track_script {\n chk weight 7 noreverse\n}", script)).track_scripts ==
        std::vector<TrackedScript>{{"chk", 7, false}});
}

std::string server_with(const std::string& statement, const std::string& in_real = "",
                        const std::string& head = "192.0.2.1 80") {
  return "virtual_server " + head + " {\n  protocol TCP\n  lb_algo rr\n  lb_kind NAT\n" + statement +
         "\n  real_server 10.0.0.5 8080 {\n" + in_real + "\n  }\n}\n";
}

using V = VirtualServer;
constexpr GoodRow<VirtualServer> server_rows[] = {
    {"", [](const V& v) { return v.key.to_string() == "tcp 192.0.2.1:80" && v.real_servers[0].checks.empty(); }},
    {"protocol UDP", [](const V& v) { return v.key.protocol == Protocol::udp; }},
    {"protocol sctp", [](const V& v) { return v.key.protocol == Protocol::sctp; }},
    {"lvs_sched mh", [](const V& v) { return v.scheduler == "mh"; }},
    {"lb_algo wlc", [](const V& v) { return v.scheduler == "wlc"; }},
    {"lvs_method TUN\nalpha", [](const V& v) { return v.alpha; }},
    {"persistence_timeout 1800", [](const V& v) { return v.persistence_seconds == 1800; }},
    {"persistence_timeout", [](const V& v) { return v.persistence_seconds == 360; }},
    {"persistence_granularity 255.255.255.0",
     [](const V& v) { return v.persistence_prefix == 24 && v.persistence_seconds == 360; }},
    {"quorum 1\nhysteresis 0", [](const V& v) { return v.quorum == 1 && v.hysteresis == 0; }},
    {"weight 3", [](const V& v) { return v.real_servers[0].weight == 3; }},
    {"", [](const V& v) { return v.masquerade == Masquerade::never && !v.real_servers[0].on_this_node; }},
    {"masquerade auto", [](const V& v) { return v.masquerade == Masquerade::automatic; }},
    {"masquerade always", [](const V& v) { return v.masquerade == Masquerade::always; }},
    {"masquerade never", [](const V& v) { return v.masquerade == Masquerade::never; }},
    {"inhibit_on_failure", [](const V& v) { return v.real_servers[0].inhibit_on_failure; }},
    {"lb_algo sh\nsh-port\nsh-fallback", [](const V& v) { return v.scheduler_flags == 0x18; }},
    {"lb_algo mh\nmh-port", [](const V& v) { return v.scheduler_flags == 0x10; }},
    {"ops\nprotocol UDP", [](const V& v) { return v.scheduler_flags == 0x4; }},
    {"delay_loop 5", [](const V&) { return true; }},
    {"ip_family inet\nvirtualhost a\nsnmp_name b", [](const V&) { return true; }},
};

TEST_CASE("each virtual_server keyword means what keepalived takes it for", "[config][virtual_server]") {
  for (const auto& row : server_rows) {
    const std::string statement(row.text);
    std::string text = server_with(statement);
    if (statement.find("TUN") != std::string::npos) text.replace(text.find("8080"), 4, "80");
    require_silent(text);
    CAPTURE(text);
    CHECK(row.means(only_server(text)));
  }
}

using R = RealServer;
constexpr GoodRow<RealServer> real_rows[] = {
    {"weight 0", [](const R& r) { return r.weight == 0; }},
    {"weight 7", [](const R& r) { return r.weight == 7; }},
    {"uthreshold 100\nlthreshold 50", [](const R& r) { return r.upper_threshold == 100 && r.lower_threshold == 50; }},
    {"on_this_node", [](const R& r) { return r.on_this_node; }},
    {"on_this_node off", [](const R& r) { return !r.on_this_node; }},
    {"inhibit_on_failure", [](const R& r) { return r.inhibit_on_failure; }},
    {"TCP_CHECK { }",
     [](const R& r) {
       const TcpCheck expected{.connect_address = {},
                               .connect_port = 8080,
                               .connect_timeout = 5s,
                               .interval = 60s,
                               .retry = 1,
                               .delay_before_retry = 1s};
       return r.checks == std::vector{expected};
     }},
    {"TCP_CHECK {\nconnect_port 9000\nconnect_timeout 3\ndelay_loop 2\nretry 4\ndelay_before_retry 0.5\nconnect_ip "
     "10.9.9.9\n}",
     [](const R& r) {
       const TcpCheck expected{.connect_address = address("10.9.9.9"),
                               .connect_port = 9000,
                               .connect_timeout = 3s,
                               .interval = 2s,
                               .retry = 4,
                               .delay_before_retry = 500ms};
       return r.checks == std::vector{expected};
     }},
    {"delay_loop 7\nconnect_timeout 2\nTCP_CHECK {\nconnect_timeout 1\n}",
     [](const R& r) { return r.checks[0].interval == 7s && r.checks[0].connect_timeout == 1s; }},
    {"TCP_CHECK {\nconnect_port 1\n}\nTCP_CHECK {\nconnect_port 2\n}", [](const R& r) { return r.checks.size() == 2; }},
};

TEST_CASE("each real_server keyword means what keepalived takes it for", "[config][real_server]") {
  for (const auto& row : real_rows) {
    const std::string text = server_with("", row.text);
    require_silent(text);
    CAPTURE(text);
    CHECK(row.means(only_server(text).real_servers.at(0)));
  }
}

TEST_CASE("a check takes what it does not say from real_server, then virtual_server", "[config][real_server]") {
  const VirtualServer server = only_server(
      server_with("delay_loop 5\nretry 3\nconnect_timeout 9", "retry 2\nTCP_CHECK {\ndelay_before_retry 4\n}"));
  const TcpCheck check = server.real_servers.at(0).checks.at(0);
  CHECK(check.interval == 5s);
  CHECK(check.retry == 2);
  CHECK(check.connect_timeout == 9s);
  CHECK(check.delay_before_retry == 4s);
}

TEST_CASE("a virtual_server is found by address, port and protocol, or by firewall mark", "[config][virtual_server]") {
  CHECK(only_server("virtual_server 2001:db8::1 443 {\n protocol TCP\n lb_algo rr\n lb_kind NAT\n real_server "
                    "2001:db8::5 443 { weight 1 }\n}")
            .key.to_string() == "tcp [2001:db8::1]:443");
  const VirtualServer marked =
      only_server("virtual_server fwmark 7 {\n lb_algo rr\n lb_kind DR\n real_server 10.0.0.5 80 { weight 1 }\n}");
  CHECK(marked.key.to_string() == "fwmark 7");
  CHECK(marked.key.family == Family::ipv4);
  CHECK(marked.real_servers.at(0).port == 80);
  const VirtualServer six =
      only_server("virtual_server fwmark 8 {\n lb_algo rr\n lb_kind DR\n real_server 2001:db8::5 80 { weight 1 }\n}");
  CHECK(six.key.family == Family::ipv6);
  CHECK(six.persistence_prefix == 128);
  CHECK(only_server(server_with("", "", "192.0.2.1")).key.port == 0);
}

TEST_CASE("a virtual_server without protocol is UDP, as in keepalived", "[config][virtual_server]") {
  const VirtualServer server = only_server("virtual_server 192.0.2.1 53 {\n real_server 10.0.0.5 53 { weight 1 }\n}");
  CHECK(server.key.protocol == Protocol::udp);
  CHECK(server.scheduler == "wlc");
  CHECK(server.real_servers.at(0).method == ForwardingMethod::masquerade);
  CHECK(problems_in("test.conf", "virtual_server 192.0.2.1 53 {\n real_server 10.0.0.5 53 { weight 1 }\n}").size() ==
        3);
}

TEST_CASE("a virtual_server without a real_server is a Service whose endpoints are away, or a mistake",
          "[config][virtual_server]") {
  const std::string block =
      "virtual_server 10.0.0.1 80 {\n  protocol TCP\n  lb_algo rr\n  lb_kind NAT\n  delay_loop 5\n}\n";
  require_silent("# Service: default/web\n" + block);
  const auto problems = problems_in("test.conf", block);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].to_string().find(
            "'virtual_server 10.0.0.1 80' has no real_server: connections to it are refused") != std::string::npos);
}

TEST_CASE("direct routing keeps the port, and its check still asks the port that was written",
          "[config][real_server]") {
  const std::string text =
      "virtual_server 192.0.2.1 80 {\n protocol TCP\n lb_algo rr\n lb_kind DR\n real_server 10.0.0.5 8080 {\n "
      "TCP_CHECK { }\n }\n}";
  const VirtualServer server = only_server(text);
  CHECK(server.real_servers.at(0).port == 80);
  CHECK(server.real_servers.at(0).checks.at(0).connect_port == 8080);
  CHECK(lines_of(problems_in("test.conf", text)) ==
        std::vector<std::string>{
            "test.conf:5:2: warning: real_server 10.0.0.5:8080: DR cannot change the port, 80 is used"});
}

TEST_CASE("a real server whose only check is not supported stays served", "[config][real_server]") {
  const std::string text = server_with("", "HTTP_GET {\n url {\n path /\n }\n connect_timeout 3\n}");
  const VirtualServer server = only_server(text);
  REQUIRE(server.real_servers.size() == 1);
  CHECK(server.real_servers[0].checks.empty());
  CHECK(problems_in("test.conf", text).size() == 1);
}

}  // namespace
}  // namespace vipkeeper::config
