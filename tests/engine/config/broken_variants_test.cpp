// What people get wrong. Each row breaks one published file in one place; the problem must name the file, the very line
// and column, and words that tell the cause. A row with one problem may give no other.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

constexpr Severity error = Severity::error;
constexpr Severity warning = Severity::warning;

struct Broken {
  const char* file;
  const char* find;  // replaced once, at its first place; "" appends
  const char* replacement;
  std::uint32_t line;
  std::uint32_t column;
  Severity severity;
  std::vector<const char*> words;
  std::size_t other_problems = 0;  // that follow from the same mistake
};

const char* const master = "haproxy_master.conf";
const char* const nopreempt = "haproxy_nopreempt.conf";
const char* const vips = "kube_keepalived_vip_services.conf";

const Broken broken_rows[] = {
    // Braces and quotes.
    {master,
     "    chk_haproxy\n  }\n}\n",
     "    chk_haproxy\n  }\n",
     7,
     20,
     error,
     {"'{'", "vrrp_instance VI_1", "missing '}'"}},
    {master, "address\n  }\n", "address\n", 7, 20, error, {"never closed", "vrrp_instance VI_1"}, 3},
    {master,
     "add 2 points if OK\n}",
     "add 2 points if OK\n",
     1,
     25,
     error,
     {"never closed", "vrrp_script chk_haproxy"}},
    {vips,
     "    10.4.0.51\n  }\n  notify /keepalived-check.sh\n}",
     "    10.4.0.51\n  notify /keepalived-check.sh\n}",
     7,
     20,
     error,
     {"never closed", "'virtual_ipaddress' in line 19"},
     2},
    {nopreempt,
     "    track_script {\n        chk_haproxy\n    }\n}",
     "    track_script {\n        chk_haproxy\n    }\n}\n}",
     22,
     1,
     error,
     {"unexpected '}'"}},
    {nopreempt,
     "vrrp_instance HA-CLUSTER {",
     "vrrp_instance HA-CLUSTER",
     8,
     1,
     error,
     {"vrrp_instance HA-CLUSTER", "needs a block", "'{'"},
     10},
    {nopreempt,
     "\"systemctl is-active haproxy\"",
     "\"systemctl is-active haproxy",
     2,
     14,
     error,
     {"string", "not closed"},
     1},
    {nopreempt, "    state BACKUP\n", "    {\n    }\n    state BACKUP\n", 9, 5, error, {"unexpected '{'"}},

    // What an instance cannot be without.
    {master, "  virtual_router_id 51\n", "", 7, 15, error, {"VI_1", "virtual_router_id"}},
    {master, "  interface ens33            # interface to monitor\n", "", 7, 15, error, {"VI_1", "'interface'"}},
    {vips, "    10.4.0.52\n    10.4.0.50\n    10.4.0.51\n", "", 7, 15, error, {"vips", "virtual_ipaddress"}},
    {nopreempt,
     "    virtual_ipaddress {\n        192.168.3.240\n    }\n",
     "",
     8,
     15,
     warning,
     {"HA-CLUSTER", "virtual_ipaddress"}},
    {master, "vrrp_instance VI_1 {", "vrrp_instance {", 7, 1, error, {"vrrp_instance", "name"}, 1},
    {nopreempt, "    script   \"systemctl is-active haproxy\"\n", "", 1, 13, error, {"chk_haproxy", "'script'"}, 1},

    // Numbers.
    {master, "virtual_router_id 51", "virtual_router_id 256", 11, 21, error, {"256", "1 to 255"}},
    {master, "virtual_router_id 51", "virtual_router_id 0", 11, 21, error, {"'0'", "1 to 255"}},
    {master, "virtual_router_id 51", "virtual_router_id x51", 11, 21, error, {"x51", "number"}},
    {master, "virtual_router_id 51", "virtual_router_id", 11, 3, error, {"virtual_router_id", "missing"}},
    {master, "priority 101", "priority 300", 12, 12, warning, {"300", "1 to 255", "100 is used"}},
    {master, "priority 101", "priority", 12, 3, warning, {"priority", "missing"}},
    {nopreempt, "advert_int 1", "advert_int 0", 14, 16, warning, {"'0'", "0.01", "1 second is used"}},
    {nopreempt, "advert_int 1", "advert_int 0.5", 14, 16, warning, {"0.5", "version 2", "whole seconds", "1 is used"}},
    {vips, "advert_int 1", "advert_int 41", 13, 14, warning, {"41", "40.95"}},
    {vips, "advert_int 1", "advert_int 1s", 13, 14, warning, {"1s", "seconds"}},
    {vips, "vrrp_version 3", "vrrp_version 4", 2, 16, warning, {"4", "2 to 3"}},
    {nopreempt, "fall     3", "fall     0", 5, 14, warning, {"fall 0", "1 is used"}},
    {master, "weight 2 ", "weight 300 ", 4, 10, warning, {"300", "-254 to 254"}},
    {vips, "virtual_server 10.4.0.50 80", "virtual_server 10.4.0.50 80000", 28, 26, error, {"80000", "65535"}},
    {vips, "connect_port 8080", "connect_port http", 37, 20, error, {"http", "number from 1 to 65535"}},
    {vips, "weight 1\n", "weight -1\n", 35, 12, warning, {"-1", "0 to 2147483647"}},
    {vips,
     "persistence_timeout 1800",
     "persistence_timeout 0",
     32,
     23,
     warning,
     {"persistence_timeout 0", "no persistence"}},
    {vips, "delay_loop 5", "delay_loop never", 29, 14, warning, {"never", "seconds"}},

    // Addresses.
    {master, "192.168.218.189/24", "192.168.218.289/24", 15, 5, error, {"192.168.218.289/24", "not an IP address"}, 1},
    {master, "192.168.218.189/24", "192.168.218.189/33", 15, 5, warning, {"0 to 32", "/32 is used"}},
    {master, "192.168.218.189/24", "010.0.0.50", 15, 5, error, {"010.0.0.50", "not an IP address"}, 1},
    {master,
     "192.168.218.189/24",
     "192.168.218.189/24 192.168.218.190/24",
     15,
     24,
     error,
     {"192.168.218.190/24", "own line"}},
    {master, "192.168.218.189/24", "192.168.218.189/24 dve eth1", 15, 24, warning, {"unknown option 'dve'"}, 1},
    {master, "192.168.218.189/24", "192.168.218.189/24 dev", 15, 24, warning, {"'dev' needs a value"}},
    {vips, "    10.4.0.50\n", "    10.4.0.50\n    2001:db8::1\n", 22, 5, error, {"2001:db8::1", "one family"}},
    {vips, "    10.4.0.50\n", "    10.4.0.50\n    10.4.0.52\n", 22, 5, warning, {"10.4.0.52", "twice"}},
    {vips, "    10.4.0.3\n", "    node1.example.org\n", 16, 5, error, {"node1.example.org", "not an IP address"}},
    {vips, "    10.4.0.3\n", "    10.4.0.4\n", 16, 5, warning, {"10.4.0.4", "own unicast_src_ip"}},
    {vips,
     "virtual_server 10.4.0.50 80",
     "virtual_server 10.4.0.50:80",
     28,
     16,
     error,
     {"10.4.0.50:80", "'10.4.0.50 80'"}},
    {vips,
     "real_server 10.2.68.5 8080",
     "real_server 2001:db8::5 8080",
     34,
     3,
     error,
     {"2001:db8::5", "ipv6", "ipv4", "TUN"}},

    // Words.
    {master,
     "priority 101",
     "prioritiy 101",
     12,
     3,
     warning,
     {"unknown keyword 'prioritiy'", "did you mean 'priority'?"}},
    {vips, "lvs_sched wlc", "lvs_shced wlc", 30, 3, warning, {"'lvs_shced'", "'lvs_sched'"}, 1},
    {vips, "global_defs", "globl_defs", 1, 1, warning, {"unknown keyword 'globl_defs'", "'global_defs'"}, 0},
    {vips,
     "  script_user root\n",
     "  script_user root\n  nopreempt\n",
     4,
     3,
     warning,
     {"'nopreempt'", "belongs in vrrp_instance"}},
    {vips, "lvs_method NAT", "lvs_method nat", 31, 14, warning, {"nat", "NAT, DR or TUN", "capitals"}},
    {vips, "lvs_method NAT", "lvs_method PROXY", 31, 14, warning, {"PROXY", "NAT is used"}},
    {vips, "lvs_sched wlc", "lvs_sched wlcc", 30, 13, warning, {"wlcc", "wlc is used"}},
    {vips,
     "  protocol TCP\n",
     "  masquerade sometimes\n  protocol TCP\n",
     33,
     14,
     warning,
     {"sometimes", "auto, always or never", "never is used"}},
    {vips, "protocol TCP", "protocol TCX", 33, 12, warning, {"TCX", "UDP is used"}},
    {vips, "  protocol TCP\n", "", 28, 1, warning, {"virtual_server 10.4.0.50 80", "'protocol'", "UDP"}},
    {nopreempt, "state BACKUP", "state SLAVE", 9, 11, warning, {"SLAVE", "MASTER or BACKUP"}},
    {nopreempt, "state BACKUP", "state MASTER", 10, 5, warning, {"nopreempt", "state BACKUP"}},
    {nopreempt, "advert_int 1", "advert_int 1 priority 100", 14, 18, warning, {"priority 100", "own line"}},
    {nopreempt,
     "    nopreempt\n",
     "    nopreempt\n    preempt_delay 5\n",
     11,
     5,
     warning,
     {"preempt_delay", "nopreempt"}},
    {vips,
     "  advert_int 1\n",
     "  advert_int 1\n  authentication {\n    auth_type PASS\n    auth_pass 42\n  }\n",
     14,
     3,
     warning,
     {"authentication", "version 3"}},
    {master,
     "  priority 101 ",
     "  authentication {\n    auth_type PASS\n    auth_pass 123456789\n  }\n  priority 101 ",
     14,
     15,
     warning,
     {"auth_pass", "8 characters"}},
    {master,
     "  priority 101 ",
     "  authentication {\n    auth_type AH\n    auth_pass 1234\n  }\n  priority 101 ",
     13,
     15,
     error,
     {"AH", "PASS"}},
    {master,
     "  priority 101 ",
     "  authentication {\n    auth_pass 1234\n  }\n  priority 101 ",
     12,
     3,
     warning,
     {"auth_type"}},
    {vips,
     "notify /keepalived-check.sh",
     "notify /a\n  notify /keepalived-check.sh",
     25,
     3,
     warning,
     {"notify /a", "before"}},
    {master, "interface ens33 ", "interface an-interface-name-too-long ", 8, 13, error, {"15 characters"}},

    // Blocks that do not go together.
    {master, "    chk_haproxy\n  }\n", "    chk_haproxi\n  }\n", 19, 5, error, {"chk_haproxi", "not defined"}, 1},
    {nopreempt, "    track_script {\n        chk_haproxy\n    }\n", "", 1, 13, warning, {"chk_haproxy", "not used"}},
    {nopreempt,
     "",
     "vrrp_instance HA-CLUSTER {\n  interface eth1\n  virtual_router_id 2\n  virtual_ipaddress { 192.0.2.1 }\n}\n",
     22,
     15,
     error,
     {"HA-CLUSTER", "twice", "haproxy_nopreempt.conf:8:15"}},
    {nopreempt,
     "",
     "vrrp_instance other {\n  interface eth0\n  virtual_router_id 1\n  virtual_ipaddress { 192.0.2.1 }\n}\n",
     24,
     3,
     error,
     {"virtual_router_id 1", "eth0", "HA-CLUSTER"}},
    {nopreempt,
     "",
     "vrrp_script chk_haproxy {\n  script /bin/true\n}\n",
     22,
     13,
     error,
     {"chk_haproxy", "twice", "haproxy_nopreempt.conf:1:13"}},
    {vips,
     "virtual_server 10.4.0.51 80",
     "virtual_server 10.4.0.50 80",
     51,
     1,
     error,
     {"tcp 10.4.0.50:80", "twice", "kube_keepalived_vip_services.conf:28:1"},
     0},
    {vips, "real_server 10.2.68.6", "real_server 10.2.68.5", 41, 3, warning, {"10.2.68.5:8080", "twice", "line 34"}},
    {vips,
     "real_server 10.2.68.7 80",
     "real_server 10.2.68.7 8080",
     57,
     3,
     warning,
     {"10.2.68.7:8080", "DR", "80 is used"}},

    // What keepalived has and the engine has not.
    {master,
     "  track_script {",
     "  use_vmac\n  track_script {",
     18,
     3,
     warning,
     {"'use_vmac' is not supported yet, ignored"}},
    {master,
     "",
     "vrrp_sync_group g {\n  group {\n    VI_1\n  }\n}\n",
     22,
     1,
     warning,
     {"'vrrp_sync_group' is not supported yet, ignored"}},
    {vips, "TCP_CHECK {", "HTTP_GET {", 36, 5, warning, {"'HTTP_GET' is not supported yet, ignored", "alive"}},
    {vips,
     "  delay_loop 5\n",
     "  delay_loop 5\n  sorry_server 10.0.0.1 80\n",
     30,
     3,
     warning,
     {"'sorry_server' is not supported yet, ignored"}},
    {vips,
     "    10.4.0.52\n    10.4.0.50\n    10.4.0.51\n",
     "    2001:db8::50\n",
     7,
     15,
     error,
     {"IPv6", "not supported yet", "left out"}},
    {master,
     "vrrp_script",
     "include /etc/keepalived/conf.d/*.conf\nvrrp_script",
     1,
     1,
     error,
     {"include", "put that file's text here"}},
    {master,
     "vrrp_script",
     "$VIP=192.0.2.1 \\\n 192.0.2.2\nvrrp_script",
     1,
     1,
     error,
     {"$VIP=192.0.2.1", "on one line"},
     1},
    {master, "  priority 101 ", "  @main priority 101 ", 12, 3, warning, {"@main", "not supported yet"}},
    {vips, "  vrrp_version 3\n", "  vrrp_version 3\n  vrrp_strict\n", 16, 3, warning, {"unicast_peer", "vrrp_strict"}},
    {vips,
     "  vrrp_version 3\n",
     "  vrrp_version 3\n  vrrp_garp_interval 0\n",
     3,
     22,
     warning,
     {"vrrp_garp_interval 0"}},
    {vips,
     "  vrrp_version 3\n",
     "  notification_email {\n    root@localhost\n  }\n  vrrp_version 3\n",
     2,
     3,
     warning,
     {"notification_email", "no mail"}},
};

std::string broken_text(const Broken& row) {
  std::string text = read_seed(row.file);
  const std::string find(row.find);
  if (find.empty()) return text + row.replacement;
  const auto place = text.find(find);
  REQUIRE(place != std::string::npos);
  return text.replace(place, find.size(), row.replacement);
}

bool matches(const Broken& row, const Problem& problem) {
  return problem.where.file == row.file && problem.where.line == row.line && problem.where.column == row.column &&
         problem.severity == row.severity && std::ranges::all_of(row.words, [&](const char* word) {
           return problem.message.find(word) != std::string::npos;
         });
}

TEST_CASE("each broken variant gives its file, line, column and cause", "[config][broken]") {
  CHECK(std::size(broken_rows) > 30);
  for (const Broken& row : broken_rows) {
    const auto problems = problems_in(row.file, broken_text(row));
    CAPTURE(row.file, row.find, row.replacement, row.line, row.column, lines_of(problems));
    CHECK(std::ranges::count_if(problems, [&](const Problem& problem) { return matches(row, problem); }) == 1);
    CHECK(problems.size() <= 1 + row.other_problems);
    // Its virtual_servers have nothing to do with a mistake elsewhere, nor they with each other.
    if (row.file == vips) CHECK(check_text(row.file, broken_text(row)).usable);
    if (row.severity == warning && row.other_problems == 0) CHECK(check_text(row.file, broken_text(row)).usable);
  }
}

TEST_CASE("all mistakes of a file are told at once, in the order of its lines", "[config][broken]") {
  const auto problems = problems_in("x.conf",
                                    "vrrp_instance a {\n"
                                    "  interface eth0\n"
                                    "  virtual_router_id 999\n"
                                    "  prio 7\n"
                                    "  virtual_ipaddress {\n"
                                    "    10.0.0\n"
                                    "  }\n"
                                    "}\n"
                                    "virtual_server 10.0.0.1 80 {\n"
                                    "  protocol TCP\n"
                                    "  lb_algo rr\n"
                                    "  lb_kind NAT\n"
                                    "  real_server 10.0.0.x 80 {\n"
                                    "  }\n"
                                    "}\n");
  const auto lines = lines_of(problems);
  CAPTURE(lines);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] ==
        "x.conf:3:21: error: 'virtual_router_id 999': '999' is not a number from 1 to 255, the instance is left out");
  CHECK(lines[1] ==
        "x.conf:4:3: warning: unknown keyword 'prio' in vrrp_instance a, ignored: did you mean 'priority'?");
  CHECK(lines[2] ==
        "x.conf:6:5: error: '10.0.0' is not an IP address, it is left out: write ADDRESS or ADDRESS/LENGTH");
  CHECK(lines[3] ==
        "x.conf:9:1: error: 'virtual_server 10.0.0.1 80' is left out: none of its real_servers can be used");
  CHECK(lines[4] == "x.conf:13:15: error: 'real_server 10.0.0.x 80': '10.0.0.x' is not an IP address, it is left out");
}

TEST_CASE("a password is never part of a message", "[config][broken]") {
  for (const std::string statement :
       {"auth_type PASS auth_pass s3cret", "auth_type PASS\n auth_pass s3cret more",
        "auth_type PASS\n auth_pass s3cret1234 {\n }", "auth_type AH\n auth_pass s3cret", "auth_pass s3cret"}) {
    const auto problems =
        problems_in("x.conf", "vrrp_instance a {\n interface eth0\n virtual_router_id 1\n authentication {\n" +
                                  statement + "\n }\n virtual_ipaddress { 10.0.0.1 }\n}\n");
    CAPTURE(statement, lines_of(problems));
    CHECK_FALSE(problems.empty());
    CHECK(
        std::ranges::none_of(problems, [](const Problem& p) { return p.message.find("s3cret") != std::string::npos; }));
  }
}

}  // namespace
}  // namespace vipkeeper::config
