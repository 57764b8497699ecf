#include <catch2/catch.hpp>

#include "controller/plan/entry.h"
#include "controller/plan/health_check.h"

namespace vipkeeper::plan {
namespace {

std::string shown(const HealthCheck& check) {
  std::string text = "check " + std::string(to_string(check.type));
  if (check.port != 0) text += " port " + std::to_string(check.port);
  if (check.interval_seconds != 5) text += " interval " + std::to_string(check.interval_seconds);
  if (check.timeout_seconds != 3) text += " timeout " + std::to_string(check.timeout_seconds);
  if (check.retries) text += " retries " + std::to_string(*check.retries);
  if (check.retry_seconds) text += " after " + std::to_string(*check.retry_seconds);
  if (check.path != "/") text += " path " + check.path;
  if (!check.host.empty()) text += " host " + check.host;
  if (check.status != 200) text += " status " + std::to_string(check.status);
  return text;
}

std::string shown(const ServiceReference& service) {
  std::string text = service.to_string();
  for (const auto& port : service.ports) text += " " + port.to_string();
  const auto& says = service.says;
  if (says.method) text += " " + std::string(to_string(*says.method));
  if (says.scheduler) text += " " + *says.scheduler;
  if (says.persistence_seconds) text += " " + std::to_string(*says.persistence_seconds) + "s";
  if (says.masquerade) text += " masquerade " + std::to_string(static_cast<int>(*says.masquerade));
  if (says.check) text += " " + shown(*says.check);
  return text;
}

// "ADDRESS... [dev INTERFACE] [| SERVICE...]... [(WARNING)]", or "refused: ..." with every complaint on a line.
std::string outcome(std::string_view key, std::string_view value) {
  const auto entry = parse_entry(key, value);
  std::string text;
  if (!entry) {
    for (const auto& complaint : entry.error()) text += (text.empty() ? "refused: " : "\n") + complaint;
    return text;
  }
  for (const auto& address : entry->addresses) text += (text.empty() ? "" : " ") + address.to_string();
  if (!entry->interface.empty()) text += " dev " + entry->interface;
  for (const auto& service : entry->services) text += " | " + shown(service);
  for (const auto& warning : entry->warnings) text += " (" + warning + ")";
  return text;
}

struct Row {
  const char* key;
  const char* value;
  const char* outcome;
};

TEST_CASE("the contract's example is read whole", "[plan][configmap][extended]") {
  CHECK(outcome("web",
                "addresses: [192.0.2.60/24, \"2001:db8::60/64\"]\n"
                "interface: eth1                 # default: the one whose subnet holds the address, else --iface\n"
                "services:\n"
                "- service: default/web          # several may share the addresses if their ports do not clash\n"
                "  ports: [http, 443]            # default: all; by name or number\n"
                "  method: NAT                   # NAT | DR | TUN | PROXY\n"
                "  scheduler: mh                 # any that IPVS has; default wlc\n"
                "  persistence: 1800s            # default: from the Service's sessionAffinity\n"
                "  masquerade: auto              # auto | always | never\n"
                "  healthCheck: {type: tcp}      # tcp | http | https | udp | none, with its options\n") ==
        "192.0.2.60/24 2001:db8::60/64 dev eth1 | default/web http 443 NAT mh 1800s masquerade 0 check tcp");
}

TEST_CASE("values of the extended form that are served", "[plan][configmap][extended]") {
  const Row rows[] = {
      {"web", "addresses: 10.0.0.60", "10.0.0.60/32"},
      {"web", "addresses: [10.0.0.60]", "10.0.0.60/32"},
      {"web", "addresses:\n- 10.0.0.60/24\n- 10.0.0.61\n", "10.0.0.60/24 10.0.0.61/32"},
      {"web", "addresses: 2001:db8::60/64", "2001:db8::60/64"},
      {"web", "{addresses: 10.0.0.60}", "10.0.0.60/32"},
      {"web", "\"addresses\": 10.0.0.60", "10.0.0.60/32"},
      {"web", "# a comment\n---\naddresses: 10.0.0.60\n", "10.0.0.60/32"},
      {"web", "  addresses: 10.0.0.60\n  interface: eth1\n", "10.0.0.60/32 dev eth1"},
      {"web", "addresses: 10.0.0.60\r\ninterface: eth1\r\n", "10.0.0.60/32 dev eth1"},
      // The key, if it is an address; whatever the key, a mapping is the extended form.
      {"10.0.0.60", "services: [{service: default/web}]", "10.0.0.60/32 | default/web"},
      {" 10.0.0.60\n", "services: [{service: default/web}]", "10.0.0.60/32 | default/web"},
      {"2001:db8::60", "{}", "2001:db8::60/128"},
      {"10.0.0.60", "{}", "10.0.0.60/32"},
      {"10.0.0.60", "interface: eth1", "10.0.0.60/32 dev eth1"},
      {"10.0.0.60", "addresses: [10.0.0.60/24, 10.0.0.61]", "10.0.0.60/24 10.0.0.61/32"},
      {"10.0.0.60", "addresses: 10.0.0.61",
       "10.0.0.61/32 (the key is an address that is not one of addresses: only those are held; give it there too, or "
       "name the entry otherwise)"},
      // No services, or none said: a bare VIP. A field without a value is not there.
      {"10.0.0.60", "services: []", "10.0.0.60/32"},
      {"10.0.0.60", "addresses:\ninterface: ~\nservices: null\n", "10.0.0.60/32"},
      {"10.0.0.60", "services:\n- service: default/web\n  ports:\n  method:\n  healthCheck:\n",
       "10.0.0.60/32 | default/web"},
      {"10.0.0.60", "services:\n- service: default/web\n- service: default/api\n  ports: 8443\n",
       "10.0.0.60/32 | default/web | default/api 8443"},
      {"10.0.0.60", "services: [{service: a/b, ports: [http, 443, 53/udp, 53/TCP, 9/sctp]}]",
       "10.0.0.60/32 | a/b http 443 53/udp 53/tcp 9/sctp"},
      {"10.0.0.60", "services: [{service: a/b, ports: \"65535\"}]", "10.0.0.60/32 | a/b 65535"},
      {"10.0.0.60", "services: [{service: a/b, ports: 8080-tcp}]", "10.0.0.60/32 | a/b 8080-tcp"},
      {"10.0.0.60", "services: [{service: a/b, method: DR}]", "10.0.0.60/32 | a/b DR"},
      {"10.0.0.60", "services: [{service: a/b, method: TUN}]", "10.0.0.60/32 | a/b TUN"},
      {"10.0.0.60", "services: [{service: a/b, method: PROXY}]", "10.0.0.60/32 | a/b PROXY"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 90s}]", "10.0.0.60/32 | a/b 90s"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 30m}]", "10.0.0.60/32 | a/b 1800s"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 1h}]", "10.0.0.60/32 | a/b 3600s"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 1800}]", "10.0.0.60/32 | a/b 1800s"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 0}]", "10.0.0.60/32 | a/b 0s"},
      {"10.0.0.60", "services: [{service: a/b, masquerade: always}]", "10.0.0.60/32 | a/b masquerade 1"},
      {"10.0.0.60", "services: [{service: a/b, masquerade: never}]", "10.0.0.60/32 | a/b masquerade 2"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: none}]", "10.0.0.60/32 | a/b check none"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {interval: 10s}}]",
       "10.0.0.60/32 | a/b check tcp interval 10"},
      {"10.0.0.60",
       "services: [{service: a/b, healthCheck: {port: 8081, type: tcp, interval: 1m, timeout: 1, retries: 0, "
       "retryInterval: 2s}}]",
       "10.0.0.60/32 | a/b check tcp port 8081 interval 60 timeout 1 retries 0 after 2"},
      {"10.0.0.60",
       "services: [{service: a/b, healthCheck: {type: https, path: \"/healthz?x=1\", host: www.example.org, status: "
       "204}}]",
       "10.0.0.60/32 | a/b check https path /healthz?x=1 host www.example.org status 204"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {type: udp, port: 53}}]",
       "10.0.0.60/32 | a/b check udp port 53"},
      // Anchors and aliases are YAML's.
      {"10.0.0.60", "services: [&one {service: a/b, ports: 80}, {service: a/c, ports: 81}]",
       "10.0.0.60/32 | a/b 80 | a/c 81"},
      {"10.0.0.60", "services: [{service: a/b, ports: &p [80]}, {service: a/c, ports: *p}]",
       "10.0.0.60/32 | a/b 80 | a/c 80"},
  };
  for (const auto& row : rows) {
    INFO("key [" << row.key << "] value [" << row.value << "]");
    CHECK(outcome(row.key, row.value) == row.outcome);
  }
  for (const char* scheduler :
       {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}) {
    CHECK(outcome("10.0.0.60", std::string("services: [{service: a/b, scheduler: ") + scheduler + "}]") ==
          std::string("10.0.0.60/32 | a/b ") + scheduler);
  }
}

TEST_CASE("values of the extended form that are refused, every fault with its field", "[plan][configmap][extended]") {
  const Row rows[] = {
      // Fields.
      {"web", "adresses: 10.0.0.60",
       "unknown field \"adresses\": did you mean addresses?\n"
       "addresses: missing: the key \"web\" is not an address, so give at least one"},
      {"10.0.0.60", "colour: red", "unknown field \"colour\": there are addresses, interface, services"},
      {"10.0.0.60", "web: DR", "unknown field \"web\": there are addresses, interface, services"},
      {"10.0.0.60", "Interface: eth1", "unknown field \"Interface\": did you mean interface?"},
      {"10.0.0.60", "services: [{service: a/b, sheduler: mh}]",
       "services[0]: unknown field \"sheduler\": did you mean scheduler?"},
      {"10.0.0.60", "services: [{service: a/b, healthcheck: none}]",
       "services[0]: unknown field \"healthcheck\": did you mean healthCheck?"},
      {"10.0.0.60", "services: [{service: a/b, colour: red}]",
       "services[0]: unknown field \"colour\": there are service, ports, method, scheduler, persistence, masquerade, "
       "healthCheck"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {intervall: 3s}}]",
       "services[0].healthCheck: unknown field \"intervall\": did you mean interval?"},
      {"10.0.0.60", "<<: {interface: eth1}", "unknown field \"<<\": there are addresses, interface, services"},
      // Addresses.
      {"web", "{}", "addresses: missing: the key \"web\" is not an address, so give at least one"},
      {"010.0.0.60", "{}", "addresses: missing: the key \"010.0.0.60\" is not an address, so give at least one"},
      {"web", "addresses: []\n", "addresses: must hold at least one"},
      {"web", "addresses: {a: b}", "addresses: must be an address, is a mapping"},
      {"web", "addresses: [[10.0.0.60]]", "addresses[0]: must be an address, is a list"},
      {"web", "addresses: [10.0.0.60, ~]", "addresses[1]: must be an address, is nothing"},
      {"web", "addresses: [10.0.0.60, 10.0.0.61, 10.0.0.60/24]", "addresses[2]: 10.0.0.60 comes twice: remove one"},
      // Interface.
      {"10.0.0.60", "interface: sixteen-letters-x",
       "interface: \"sixteen-letters-x\" cannot be the name of an interface"},
      {"10.0.0.60", "interface: a/b", "interface: \"a/b\" cannot be the name of an interface"},
      {"10.0.0.60", "interface: \"\"", "interface: \"\" cannot be the name of an interface"},
      {"10.0.0.60", "interface: \"eth0 {\"", "interface: \"eth0 {\" cannot be the name of an interface"},
      {"10.0.0.60", "interface: \"eth0\\n}\"", "interface: \"eth0 }\" cannot be the name of an interface"},
      {"10.0.0.60", "interface: [eth0]", "interface: must be the name of one, is a list"},
      // Services.
      {"10.0.0.60", "services: default/web",
       "services: must be a list (each begins with \"- service:\"), is a single value"},
      {"10.0.0.60", "services: {service: default/web}",
       "services: must be a list (each begins with \"- service:\"), is a mapping"},
      {"10.0.0.60", "services: [default/web]",
       "services[0]: must be a mapping with the field service, is a single value"},
      {"10.0.0.60", "services: [{ports: 80}]", "services[0].service: missing: write namespace/service"},
      {"10.0.0.60", "services: [{service: }]", "services[0].service: missing: write namespace/service"},
      {"10.0.0.60", "services: [{service: web}]",
       "services[0].service: \"web\" names no Service: write namespace/service"},
      {"10.0.0.60", "services: [{service: default/Web}]",
       "services[0].service: \"default/Web\" names no Service: write namespace/service"},
      {"10.0.0.60", "services: [{service: a/b/c}]",
       "services[0].service: \"a/b/c\" names no Service: write namespace/service"},
      {"10.0.0.60", "services: [{service: \"a/b:DR\"}]",
       "services[0].service: \"a/b:DR\" names no Service: write namespace/service"},
      {"10.0.0.60", "services: [{service: \"a/b\\n}\\nvirtual_server 1.2.3.4 5 {\"}]",
       "services[0].service: \"a/b } virtual_server 1.2.3.4 5 {\" names no Service: write namespace/service"},
      {"10.0.0.60", "services: [{service: [a/b]}]", "services[0].service: must be namespace/service, is a list"},
      // Options.
      {"10.0.0.60", "services: [{service: a/b, method: nat}]",
       "services[0].method: \"nat\" is none of NAT, DR, TUN and PROXY (in capitals)"},
      {"10.0.0.60", "services: [{service: a/b, method: [NAT]}]",
       "services[0].method: must be a single value, is a list"},
      {"10.0.0.60", "services: [{service: a/b, scheduler: wcl}]",
       "services[0].scheduler: \"wcl\" is none of rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos; "
       "did "
       "you mean wlc?"},
      {"10.0.0.60", "services: [{service: a/b, scheduler: \"rr\\n}\"}]",
       "services[0].scheduler: \"rr }\" is none of rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 1d}]",
       "services[0].persistence: \"1d\" is no duration of up to 31 days like 90s, 30m, 1h or seconds"},
      {"10.0.0.60", "services: [{service: a/b, persistence: -1}]",
       "services[0].persistence: \"-1\" is no duration of up to 31 days like 90s, 30m, 1h or seconds"},
      {"10.0.0.60", "services: [{service: a/b, persistence: 745h}]",
       "services[0].persistence: \"745h\" is no duration of up to 31 days like 90s, 30m, 1h or seconds"},
      {"10.0.0.60", "services: [{service: a/b, masquerade: yes}]",
       "services[0].masquerade: \"yes\" is none of auto, always and never"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: ping}]",
       "services[0].healthCheck: \"ping\" is none of tcp, http, https, udp and none"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: [tcp]}]",
       "services[0].healthCheck: must be a single value, is a list"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {type: ping, path: /}}]",
       "services[0].healthCheck.type: \"ping\" is none of tcp, http, https, udp and none"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {path: /, type: tcp}}]",
       "services[0].healthCheck.path: a check of type tcp has no such option"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {type: none, port: 80}}]",
       "services[0].healthCheck.port: a check of type none has no such option"},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {port: 0, interval: 0, timeout: 2h, retries: 101}}]",
       "services[0].healthCheck.port: must be 1 to 65535, is \"0\"\n"
       "services[0].healthCheck.interval: must be 1 to 3600 seconds, like 5s or 1m, is \"0\"\n"
       "services[0].healthCheck.timeout: must be 1 to 3600 seconds, like 5s or 1m, is \"2h\"\n"
       "services[0].healthCheck.retries: must be 0 to 100, is \"101\""},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {type: http, path: healthz, host: \"a b\", status: 99}}]",
       "services[0].healthCheck.path: \"healthz\" is no path: begin it with /, without blanks and quotes\n"
       "services[0].healthCheck.host: \"a b\" is no host name\n"
       "services[0].healthCheck.status: must be 100 to 599, is \"99\""},
      {"10.0.0.60", "services: [{service: a/b, healthCheck: {type: http, path: \"/x\\\"\\n}\"}}]",
       "services[0].healthCheck.path: \"/x\" }\" is no path: begin it with /, without blanks and quotes"},
      // All faults at once.
      {"web", "addresses: [10.0.0.300]\ninterface: a/b\nservices: [{service: x}]\n",
       "addresses[0]: \"10.0.0.300\" is not an IP address: write one like 10.0.0.50, 10.0.0.50/24 or "
       "\"2001:db8::50/64\", without leading zeros\n"
       "interface: \"a/b\" cannot be the name of an interface\n"
       "services[0].service: \"x\" names no Service: write namespace/service"},
      // YAML.
      {"10.0.0.60", "interface: eth0\ninterface: eth1\n",
       "the value is no YAML mapping: line 2: the key \"interface\" comes twice"},
      {"10.0.0.60", "interface: eth0\n---\ninterface: eth1\n",
       "the value is no YAML mapping: several documents (---): one is enough"},
      {"10.0.0.60", "interface: eth0\n---\n,}\n",
       "the value is no YAML mapping: several documents (---): one is enough"},
      {"10.0.0.60", "interface: *nowhere\n",
       "the value is no YAML mapping: line 1: the referenced anchor is not defined"},
      {"10.0.0.60", "{interface: eth0", "the value is no YAML mapping: line 1: end of map flow not found"},
      {"10.0.0.60", "services:\n- service: a/b\n   ports: 80\n",
       "the value is no YAML mapping: line 3: illegal map value"},
      {"10.0.0.60", "service: a/b\n bad: [\n", "the value is no YAML mapping: line 2: illegal map value"},
      {"10.0.0.60", "interface: &a [*a]\n",
       "the value is no YAML mapping: line 1: more than 10000 values, or more than 16 inside each other"},
      {"10.0.0.60", "? [a]\n: b\n", "key"},
  };
  for (const auto& row : rows) {
    INFO("key [" << row.key << "] value [" << row.value << "]");
    const std::string wanted = row.outcome;
    if (wanted == "key") {
      // Not meant as anything: the original form's words.
      CHECK_THAT(outcome(row.key, row.value), Catch::StartsWith("refused: value \"? [a] : b\" names no Service"));
    } else {
      CHECK(outcome(row.key, row.value) == "refused: " + wanted);
    }
  }
}

TEST_CASE("texts that are no IP address where one is asked for", "[plan][configmap][extended]") {
  for (const char* text : {"web", "10.0.0.300", "010.0.0.5", "10.0.0", "10.0.0.5/33", "10.0.0.5/", "10.0.0.5/0",
                           "10.0.0.5-eth0", "\"\"", "\"10.0.0.5\\n}\"", "2001:db8::/129", "\"10.0.0.5 dev eth0\""}) {
    INFO(text);
    CHECK_THAT(
        outcome("web", std::string("addresses: [") + text + "]"),
        Catch::StartsWith("refused: addresses[0]: \"") && Catch::Contains("is not an IP address: write one like"));
  }
}

TEST_CASE("a prefix length that no network has is refused, the shortest that one may have is not",
          "[plan][configmap][extended]") {
  for (const char* text : {"10.0.0.5/1", "10.0.0.5/7", "2001:db8::5/7"}) {
    INFO(text);
    CHECK_THAT(outcome("web", std::string("addresses: \"") + text + "\""),
               Catch::StartsWith("refused: addresses: ") && Catch::Contains("give the subnet's own length, or none"));
  }
  CHECK(outcome("web", "addresses: 10.0.0.5/8") == "10.0.0.5/8");
}

TEST_CASE("texts that are no port where one is asked for", "[plan][configmap][extended]") {
  for (const char* text : {"0", "65536", "-1", "80/icmp", "http/tcp", "/tcp", "80/", "\"\"", "\"80 81\"", "HTTP", "a_b",
                           "99999999999", "1.5", "\"80\\n}\""}) {
    INFO(text);
    CHECK_THAT(outcome("10.0.0.60", std::string("services: [{service: a/b, ports: [80, ") + text + "]}]"),
               Catch::StartsWith("refused: services[0].ports[1]: \"") && Catch::Contains("is no port: write its name"));
  }
  CHECK(outcome("10.0.0.60", "services: [{service: a/b, ports: [[80]]}]") ==
        "refused: services[0].ports[0]: a list is no port: write its name, its number (1 to 65535) or, with the "
        "protocol, 53/udp");
  CHECK(outcome("10.0.0.60", "services: [{service: a/b, ports: []}]") ==
        "refused: services[0].ports: must hold at least one; leave it out for all ports");
}

TEST_CASE("a text that is wrong all over is complained about as far as one reads", "[plan][configmap][extended]") {
  std::string value = "services:\n";
  for (int i = 0; i < 500; ++i) value += "- service: wrong\n";
  const auto entry = parse_entry("10.0.0.60", value);
  REQUIRE_FALSE(entry);
  CHECK(entry.error().size() == 20);
}

TEST_CASE("a text that grows without end when it is read is refused", "[plan][configmap][extended]") {
  std::string value = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const char before = static_cast<char>(c - 1);
    value += std::string(1, c) + ": &" + c + " [*" + before;
    for (int i = 0; i < 9; ++i) value += std::string(",*") + before;
    value += "]\n";
  }
  CHECK_THAT(outcome("10.0.0.60", "interface: x\n" + value),
             Catch::Contains("the value is no YAML mapping: line 2: more than 10000 values"));
  CHECK_THAT(outcome("10.0.0.60", "interface: " + std::string(70'000, 'x')),
             Catch::Contains("the value is no YAML mapping: more than 65536 bytes"));
  CHECK_THAT(outcome("10.0.0.60", "interface: " + std::string(5'000, '[')), Catch::StartsWith("refused: the value is"));
}

TEST_CASE("what YAML does not take is refused for its own reason, not for what it would be otherwise",
          "[plan][configmap][extended][messages]") {
  std::string deep = "colour: ";
  for (int i = 0; i < 20; ++i) deep += "{a: ";
  deep += "default/web" + std::string(20, '}');
  const std::string long_one = "note: " + std::string(70'000, 'x');
  const std::string very_deep = "colour: " + std::string(5'000, '[');
  for (const char* key : {"web", "10.0.0.60"}) {
    INFO(key);
    const std::string reason = "refused: the value is no YAML mapping: ";
    CHECK_THAT(outcome(key, deep), Catch::StartsWith(reason + "line 1: more than 10000 values, or more than 16"));
    CHECK(outcome(key, long_one) == reason + "more than 65536 bytes");
    CHECK_THAT(outcome(key, very_deep), Catch::StartsWith(reason) && Catch::Contains("inside each other"));
    CHECK_THAT(outcome(key, "%YAML 1.2 1.3\n---\naddresses: 10.0.0.60\n"),
               Catch::StartsWith(reason + "line 1: ") && Catch::Contains("directive"));
  }
  // A slip somewhere else: with a name as its key an entry can be nothing but a mapping.
  CHECK_THAT(outcome("web", "colour: red\n bad: ["),
             Catch::StartsWith("refused: the value is no YAML mapping: line 2"));
}

TEST_CASE("what the original's form took is not a mapping, whatever YAML says",
          "[plan][configmap][extended][grammar]") {
  const Row rows[] = {
      {"10.0.0.60", "default/web:", "10.0.0.60/32 | default/web"},
      {"10.0.0.60", "default/web: \n", "10.0.0.60/32 | default/web"},
      {"10.0.0.60", "default/web: DR", "10.0.0.60/32 | default/web DR"},
      {"10.0.0.60", "note: see the wiki\ndefault/web:DR",
       "10.0.0.60/32 | default/web DR (of several lines only the one with \"default\"/\"web\" counts: keep that one)"},
  };
  for (const auto& row : rows) {
    INFO("value [" << row.value << "]");
    CHECK(outcome(row.key, row.value) == row.outcome);
  }
}

}  // namespace
}  // namespace vipkeeper::plan
