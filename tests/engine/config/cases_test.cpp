// What an engine that starts makes of the files in cases/, each with one thing that real people's files have. Beside
// each row stands what Debian's `keepalived -t` (2.2.7) says of it: 0 good, 5 runs with complaints, 6 runs with script
// security off. Ours differs between usable (0, 5) and not (1) only where docs/configuration.md says why.
#include <fmt/format.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

struct Case {
  const char* file;
  int keepalived;
  int code;                           // of `vipkeeper check`
  std::vector<const char*> problems;  // "LINE:COLUMN: severity: the message begins with this"
  const char* runs;                   // see running()
};

const Case cases[] = {
    {"a01_undefined_script.conf",
     5,
     5,
     {"8:3: error: track_script 'nosuch' in vrrp_instance V is left out: it is not defined, add 'vrrp_script nosuch { "
      "... }'"},
     "V eth0 51 10.0.0.1/24"},
    {"a02_dup_script.conf",
     6,
     5,
     {"4:13: error: vrrp_script s is defined twice, first in a02_dup_script.conf:1:13, the first counts: rename or "
      "remove one"},
     "V eth0 51 10.0.0.1/24 track s"},
    {"a03_dup_instance.conf",
     5,
     5,
     {"8:15: error: vrrp_instance V is defined twice, first in a03_dup_instance.conf:1:15, the first counts: rename or "
      "remove one"},
     "V eth0 51 10.0.0.1/24"},
    {"a04_script_without_command.conf",
     5,
     5,
     {"1:13: error: vrrp_script s is left out: it has no 'script', add 'script \"COMMAND\"'",
      "11:3: error: track_script 's' in vrrp_instance V is left out: vrrp_script s cannot be used"},
     "V eth0 51 10.0.0.1/24"},
    {"a05_bad_vip_of_two.conf",
     5,
     5,
     {"6:3: error: '10.0.0.256/24' is not an IP address, it is left out: write ADDRESS or ADDRESS/LENGTH"},
     "V eth0 51 10.0.0.1/24"},
    {"a06_rs_port0.conf", 0, 0, {}, "fwmark 1 rr 10.0.0.2:0"},
    {"a07_rs_port0_ip.conf", 0, 0, {}, "tcp 10.0.0.1:80 rr 10.0.0.2:80"},
    {"a08_v4_v6_same_vrid.conf",
     0,
     5,
     {"8:15: error: vrrp_instance V6 is left out: it has IPv6 addresses, which is not supported yet"},
     "V4 eth0 51 10.0.0.1/24"},
    {"a09_two_unicast_same_vrid.conf",
     0,
     0,
     {},
     "A eth0 51 peer 10.0.0.5 10.0.0.1/24; B eth0 51 peer 10.0.0.6 10.0.0.2/24"},
    {"a10_auth_AH.conf",
     0,
     1,
     {"5:13: error: 'auth_type AH' is not supported, the instance is left out: use 'auth_type PASS' on all nodes, or "
      "version 3"},
     ""},
    {"a11_include_none.conf",
     0,
     5,
     {"8:1: error: 'include /etc/keepalived/conf.d/*.conf' is left out: an include is followed at the top level of a "
      "file only"},  // where there are files: a warning, tests/cli
     "V eth0 51 10.0.0.1/24"},
    {"a12_variable.conf", 0, 0, {}, "V eth0 51 10.0.0.1/24"},
    {"a13_multicast_vip.conf",
     0,
     5,
     {"5:3: error: '228.184.225.56' is left out: no host can hold it as its address; remove it"},
     "V eth0 51 10.0.0.1/32"},
    {"a14_no_vrid.conf",
     5,
     5,
     {"1:15: error: vrrp_instance V is left out: it has no 'virtual_router_id', add one from 1 to 255, the same on all "
      "its nodes"},
     "W eth0 52 10.0.0.2/24"},
    {"a15_no_interface_vip_dev.conf",
     5,
     1,
     {"1:15: error: vrrp_instance V is left out: it has no 'interface', add 'interface NAME'"},
     ""},
    {"a16_unclosed_quote.conf",
     139,
     5,
     {"2:9: error: the string that starts here is not closed, the line is left out: add '\"' before the end of it",
      "12:3: error: track_script 's' in vrrp_instance V is left out: vrrp_script s cannot be used"},
     "V eth0 51 10.0.0.1/24"},
    {"a17_missing_close.conf",
     5,
     5,
     {"1:28: error: the '{' of 'virtual_server 10.0.0.1 80' is never closed: add the missing '}' (probably that of "
      "'real_server 10.0.0.2 80' in line 5)"},
     "tcp 10.0.0.1:80 rr 10.0.0.2:80 checked"},
    {"a18_extra_close.conf",
     5,
     5,
     {"8:1: error: unexpected '}': no block is open here; remove it, or look for a '}' too many above"},
     "V eth0 51 10.0.0.1/24"},
    {"a19_vs_bad_ip.conf",
     5,
     5,
     {"1:16: error: 'virtual_server 192.168.1.300 22': '192.168.1.300' is not an IP address, it is left out: write "
      "'virtual_server IP PORT'"},
     "tcp 192.168.1.30:22 rr 10.0.0.2:80"},
    {"a20_dup_vs.conf",
     0,
     5,
     {"8:1: error: virtual_server tcp 192.168.1.30:22 is defined twice, first in a20_dup_vs.conf:1:1, the first "
      "counts: remove one, or give them different ports or protocols"},
     "tcp 192.168.1.30:22 rr 10.0.0.2:80"},
    {"a21_strict_unicast.conf",
     0,
     5,
     {"5:2: warning: 'unicast_peer' is not for vrrp_strict, it is used all the same: remove one"},
     "V eth0 51 peer 10.0.0.8 10.0.0.1/24"},
    {"a22_peer_name.conf",
     5,
     5,
     {"5:3: error: unicast_peer 'node2' is not an IP address, it is left out and will not hear this router: names are "
      "not looked up, write its address"},
     "V eth0 51 peer 10.0.0.8 10.0.0.1/24"},
    {"a23_track_if_oneline.conf",
     5,
     5,
     {"4:2: error: 'track_interface eth1' needs a block, it is left out: add '{' and '}'",
      "4:18: warning: 'eth1' after 'track_interface' is ignored: put each keyword on its own line"},
     "V eth0 51 10.0.0.1/24"},
    {"a24_mixed_family_rs.conf",
     5,
     5,
     {"5:2: error: real_server 10.0.0.3 is ipv4 but 'virtual_server fd00::1 80' is ipv6, it is left out: only lb_kind "
      "TUN can mix them"},
     "tcp [fd00::1]:80 rr fd00::3:80"},
    {"a28_vs_brace_next_line_missing.conf",
     5,
     1,
     {"1:1: error: 'virtual_server 10.0.0.1 80' needs a block, it is left out: add '{' and '}'",
      "2:2: warning: 'lb_algo' at the top level is ignored: it belongs in virtual_server; is a '}' too many above?",
      "3:2: warning: 'lb_kind' at the top level is ignored: it belongs in virtual_server or real_server; is a '}' too "
      "many above?",
      "4:2: warning: 'protocol' at the top level is ignored: it belongs in virtual_server; is a '}' too many above?",
      "5:1: error: unexpected '}': no block is open here; remove it, or look for a '}' too many above"},
     ""},
    {"a29_two_vips_oneline.conf",
     5,
     5,
     {"4:34: error: '10.0.0.1/24 10.0.0.2/24': a second address '10.0.0.2/24' on the line is left out: put each on its "
      "own line"},
     "V eth0 51 10.0.0.1/24"},
    {"a30_continuation.conf",
     5,
     5,
     {"2:12: warning: '\\' at the end of a line joins it with the next; keepalived 2.2 does not: write one line"},
     "V eth0 51 10.0.0.1/24"},
    {"c01_track_own.conf",
     5,
     5,
     {"8:3: warning: track_interface 'eth0' is ignored: an instance tracks its own interface anyway"},
     "V eth0 51 10.0.0.1/24"},
    {"c03_nb_get_retry.conf",
     5,
     5,
     {"7:4: warning: 'nb_get_retry 3' is taken for 'retry', which is its name in TCP_CHECK: write that"},
     "tcp 10.0.0.1:80 rr 10.0.0.2:80 checked"},
    {"c04_ess_true.conf", 0, 0, {}, "V eth0 51 10.0.0.1/24"},
    {"c06_fwmark_proto.conf",
     5,
     5,
     {"1:1: warning: 'protocol' of 'virtual_server fwmark 3' is ignored: the kernel looks at the mark alone; remove "
      "it"},
     "fwmark 3 rr 10.0.0.2:0"},
    {"c08_semicolons.conf",
     5,
     5,
     {"8:12: warning: 'auth_type PASS;' is unknown, no authentication is used: write 'auth_type PASS'"},
     "V eth0 51 10.0.0.1/24"},
    {"c11_v6only.conf",
     0,
     1,
     {"1:15: error: vrrp_instance V is left out: it has IPv6 addresses, which is not supported yet"},
     ""},
    {"c12_v6excl.conf",
     0,
     5,
     {"8:3: error: 'fd00:99::1/64' is left out: IPv6 in virtual_ipaddress_excluded is not supported yet"},
     "V eth0 51 10.0.0.1/32"},
};

// "V eth0 51 10.0.0.1/24 track s; tcp 10.0.0.1:80 10.0.0.2:80"
std::string running(const ConfigDelta& delta) {
  std::string text;
  for (const auto& instance : delta.instances) {
    text += fmt::format("{}{} {} {}", text.empty() ? "" : "; ", instance->name, instance->interface, instance->vrid);
    for (const auto& peer : instance->unicast_peers) text += " peer " + peer.to_string();
    for (const auto& address : instance->addresses) text += " " + address.prefix.to_string();
    for (const auto& tracked : instance->track_scripts) text += " track " + tracked.script;
  }
  for (const auto& [key, server] : delta.virtual_servers) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", key.to_string(), server->scheduler);
    for (const auto& real : server->real_servers)
      text += fmt::format(" {}:{}{}", real.address.to_string(), real.port, real.checks.empty() ? "" : " checked");
  }
  return text;
}

std::string read_case(const std::string& name) { return read_text(std::string(VIPKEEPER_CONFIG_CASES) + "/" + name); }

TEST_CASE("what cannot be used in a file costs itself alone", "[config][cases]") {
  for (const Case& row : cases) {
    const std::string text = read_case(row.file);
    const Verdict verdict = check_text(row.file, text);
    const auto lines = lines_of(verdict.problems);
    CAPTURE(row.file, lines);
    CHECK(verdict.usable == (row.code != 1));
    CHECK(verdict.problems.empty() == (row.code == 0));
    CHECK(lines.size() == row.problems.size());
    for (std::size_t i = 0; i < std::min(lines.size(), row.problems.size()); ++i) {
      INFO(row.problems[i]);
      CHECK(lines[i].starts_with(std::string(row.file) + ":" + row.problems[i]));
    }
    Configuration engine;
    const auto applied = engine.apply(split(row.file, text, {}));
    REQUIRE(applied.has_value() == verdict.usable);  // `check` and `engine` take and refuse the same
    CHECK((applied ? running(applied->delta) : "") == row.runs);
    if (applied) CHECK(lines_of(engine.problems()) == lines);
  }
}

TEST_CASE("every file in cases/ is in the table", "[config][cases]") {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(VIPKEEPER_CONFIG_CASES)) {
    CAPTURE(entry.path());
    CHECK(std::ranges::any_of(cases, [&](const Case& row) { return entry.path().filename() == row.file; }));
    ++files;
  }
  CHECK(files == std::size(cases));
}

TEST_CASE("what keepalived runs is run, but for what would be unsafe or cannot be done here", "[config][cases]") {
  const std::vector<std::string> stricter = {
      "a10_auth_AH.conf",                     // peers would drop what is sent without AH: two holders
      "a15_no_interface_vip_dev.conf",        // keepalived runs on, without the instance
      "a28_vs_brace_next_line_missing.conf",  // keepalived runs on, without the virtual_server
      "c11_v6only.conf",                      // not supported yet
  };
  for (const Case& row : cases) {
    CAPTURE(row.file);
    const bool is_stricter = std::ranges::find(stricter, row.file) != stricter.end();
    CHECK((row.code == 1) == is_stricter);
  }
}

}  // namespace
}  // namespace vipkeeper::config
