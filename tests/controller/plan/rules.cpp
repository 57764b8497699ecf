// The rules of the ConfigMap, a row each: objects, entries and flags on one side, what is held, forwarded and reported
// on the other.

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

using Data = std::map<std::string, std::string>;

// What the rows' Services are: web has http and https, dns has 53 in both protocols, api shares web's port 80, and
// so does idle, that has no endpoints.
std::vector<objects::ObjectChange> cluster() {
  return {is("default/web", service({port(80, 8080, "http"), port(443, 8443, "https")})),
          is("default/web-1", slice("web", {on(8080, "http"), on(8443, "https")}, {ready("10.2.0.5")})),
          is("default/dns", service({port(53, 53, "dns", Protocol::udp), port(53, 53, "dns-tcp")})),
          is("default/dns-1", slice("dns", {on(53, "dns", Protocol::udp), on(53, "dns-tcp")}, {ready("10.2.0.7")})),
          is("default/idle", service({port(80, 80)})),
          is("default/api", service({port(80, 80, "api"), port(6443, 6443, "tls")})),
          is("default/api-1", slice("api", {on(80, "api"), on(6443, "tls")}, {ready("10.2.0.8")}))};
}

struct Row {
  const char* rule;
  Data data;
  Lines held;
  Lines services;
  Lines problems;  // without "ConfigMap default/vips key "
  void (*set)(PlanOptions&) = nullptr;
};

void check(const Row& row, std::vector<objects::ObjectChange> changes,
           const std::vector<HostInterface>& interfaces = {{"lo", cidr("127.0.0.1/8")},
                                                           {"eth0", cidr("10.0.0.4/24")},
                                                           {"eth1", cidr("192.168.5.1/24")},
                                                           {"eth2", cidr("0.0.0.0/32")}}) {
  INFO(row.rule);
  changes.push_back(entries(row.data));
  auto with = options();
  if (row.set != nullptr) row.set(with);
  const auto planner = planner_with(changes, with, interfaces);
  CHECK(held(planner.plan()) == row.held);
  CHECK(services(planner.plan()) == row.services);
  Lines wanted;
  for (const auto& problem : row.problems) {
    const auto space = problem.find(' ');
    wanted.push_back(problem.substr(0, space) + " ConfigMap default/vips key " + problem.substr(space + 1));
  }
  CHECK(problems(planner.plan()) == wanted);
}

TEST_CASE("addresses, interfaces and forms", "[plan][rules][extended]") {
  const Row rows[] = {
      {"addresses with their length, on the interface whose subnet holds them",
       {{"a", "addresses: [10.0.0.60/24, 192.168.5.60, 172.16.0.1]"}},
       {"10.0.0.60/24", "172.16.0.1/32", "192.168.5.60/32 dev eth1"},
       {},
       {}},
      {"an interface of the entry's own, with and without an address of its own",
       {{"a", "addresses: 10.0.0.60\ninterface: eth1"}, {"b", "addresses: 10.0.0.61\ninterface: eth2"}},
       {"10.0.0.60/32 dev eth1", "10.0.0.61/32 dev eth2"},
       {},
       {}},
      {"the Virtual Router's own interface, said",
       {{"a", "addresses: 192.168.5.60\ninterface: eth0"}},
       {"192.168.5.60/32"},
       {},
       {}},
      {"an interface that this host does not have is a problem of its entry, not of the Virtual Router",
       {{"a", "addresses: 10.0.0.60\ninterface: eth9"}, {"b", "addresses: 10.0.0.61"}},
       {"10.0.0.60/32 dev eth9 no_track", "10.0.0.61/32"},
       {},
       {"error a: interface eth9 does not exist on this host: the entry's addresses cannot be held here; check the "
        "name, "
        "or make the interface"}},
      {"IPv6 is left out of its entry, the rest is served",
       {{"a",
         "addresses: [\"2001:db8::60/64\", 10.0.0.60, \"2001:db8::61\"]\nservices: [{service: default/api, ports: "
         "tls}]"},
        {"b", "addresses: \"2001:db8::62\"\nservices: [{service: default/api}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:6443 NAT wlc default/api -> 10.2.0.8:6443"},
       {"error a: IPv6 addresses are not available yet: 2001:db8::60, 2001:db8::61 left out, the rest of the entry is "
        "served",
        "error b: IPv6 addresses are not available yet: 2001:db8::62 left out, the rest of the entry is served"}},
      {"a mapping is the extended form whatever its key, anything else needs an address as its key",
       {{"10.0.0.60", "services: [{service: default/api, ports: 6443}]"},
        {"web", "default/web"},
        {"10.0.0.61", "nonsense"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:6443 NAT wlc default/api -> 10.2.0.8:6443"},
       {"error 10.0.0.61: value \"nonsense\" names no Service: write namespace/service[:NAT|DR|PROXY], or \"\" for an "
        "address alone; the entry is left out",
        "error web: key \"web\" is not an IP address: write one like 10.0.0.50, without leading zeros; the entry is "
        "left "
        "out"}},
      {"an entry is taken whole or not at all, and every fault is said",
       {{"a", "addresses: [10.0.0.60, 127.0.0.1, 224.0.0.5]"},
        {"b", "addresses: 10.0.0.61\ncolour: red\ninterface: a/b"}},
       {},
       {},
       {"error a: 127.0.0.1 is a loopback address, which no other host can reach: use another address; the entry is "
        "left "
        "out",
        "error a: 224.0.0.5 is a multicast address: use another address; the entry is left out",
        "error b: unknown field \"colour\": there are addresses, interface, services; the entry is left out",
        "error b: interface: \"a/b\" cannot be the name of an interface; the entry is left out"}},
      {"a bad entry takes down no other, whichever side of it they sort",
       {{"10.0.0.50", ""}, {"a", "{"}, {"b", "addresses: 10.0.0.61"}},
       {"10.0.0.50/32", "10.0.0.61/32"},
       {},
       {"error a: the value is no YAML mapping: line 1: end of map flow not found; the entry is left out"}},
      {"no services: a bare VIP", {{"a", "addresses: 10.0.0.60"}}, {"10.0.0.60/32"}, {}, {}},
  };
  for (const auto& row : rows) check(row, cluster());
}

TEST_CASE("addresses that no entry of either form may have", "[plan][rules][addresses][extended]") {
  struct Refused {
    const char* address;
    const char* why;
    void (*set)(PlanOptions&) = nullptr;
  };
  const Refused rows[] = {
      {"0.0.0.0", "is the unspecified address"},
      {"127.0.0.1", "is a loopback address, which no other host can reach"},
      {"224.0.0.18", "is a multicast address"},
      {"255.255.255.255", "is the broadcast address"},
      {"169.254.1.1", "is a link-local address (169.254.0.0/16, fe80::/10)"},
      {"240.0.0.1", "is in 240.0.0.0/4, which is reserved"},
      {"10.0.0.255", "is the network or broadcast address of 10.0.0.4/24 on eth0"},
      {"10.0.0.4", "is the address of Node n1"},
      {"10.0.0.9", "is the address of Node n2"},
      {"10.2.0.5", "is the address of a pod"},
      {"10.96.0.7", "is the address of Service default/web"},
      {"10.3.1.1", "is inside the podCIDRs of Node n2"},
      {"10.97.1.1", "is inside --service-cidr 10.97.0.0/16",
       [](PlanOptions& with) { with.service_cidrs = {cidr("10.97.0.0/16")}; }},
      {"10.98.1.1", "is outside --allowed-vips 10.0.0.0/24",
       [](PlanOptions& with) { with.allowed_vips = {cidr("10.0.0.0/24")}; }},
  };
  auto web = service({port(80, 80)});
  web.cluster_ips = {ip("10.96.0.7")};
  auto pods = slice("web", {on(80)}, {ready("10.2.0.5")});
  pods.endpoints[0].is_pod = true;
  auto n2 = node("10.0.0.9");
  n2.pod_cidrs = {cidr("10.3.0.0/16")};
  const std::vector<objects::ObjectChange> objects = {is("default/web", web), is("default/web-1", pods), is("n2", n2)};
  for (const auto& row : rows) {
    const std::string address = row.address;
    const std::string message = ": " + address + " " + row.why + ": use another address; the entry is left out";
    check({row.address,
           {{address, ""}, {"10.0.0.50", ""}},
           {"10.0.0.50/32"},
           {},
           {"error " + address + message},
           row.set},
          objects);
    check({row.address,
           {{"name", "addresses: [10.0.0.51, " + address + "]"}, {"10.0.0.50", ""}},
           {"10.0.0.50/32"},
           {},
           {"error name" + message},
           row.set},
          objects);
  }
  // IPv6, and what only a length says.
  for (const auto& [address, why] : std::map<std::string, std::string>{
           {"::", "is the unspecified address"},
           {"::1", "is a loopback address, which no other host can reach"},
           {"fe80::1", "is a link-local address (169.254.0.0/16, fe80::/10)"},
           {"ff02::12", "is a multicast address"},
           {"::ffff:10.0.0.60", "is an IPv4 address in IPv6's clothes, which no packet carries"}}) {
    const auto shown = ip(address).to_string();
    check({"IPv6",
           {{"name", "addresses: \"" + address + "\""}},
           {},
           {},
           {"error name: " + shown + " " + why + ": use another address; the entry is left out"}},
          objects);
  }
  check({"the edge of its own prefix",
         {{"name", "addresses: [10.0.9.0/24, 10.0.9.7/29, 10.0.9.1/31]"}},
         {},
         {},
         {"error name: 10.0.9.0 is the network or broadcast address of its own prefix /24: use another address; the "
          "entry is left out",
          "error name: 10.0.9.7 is the network or broadcast address of its own prefix /29: use another address; the "
          "entry is left out"}},
        objects);
}

TEST_CASE("Services, ports and clashes", "[plan][rules][extended][services]") {
  const std::string web80 = "NAT wlc default/web -> 10.2.0.5:8080";
  const std::string web443 = "NAT wlc default/web -> 10.2.0.5:8443";
  const std::string api80 = "NAT wlc default/api -> 10.2.0.8:80";
  const std::string api6443 = "NAT wlc default/api -> 10.2.0.8:6443";
  const Row rows[] = {
      {"all ports of several Services on several addresses",
       {{"a", "addresses: [10.0.0.60, 10.0.0.61]\nservices: [{service: default/dns}, {service: default/web}]"}},
       {"10.0.0.60/32", "10.0.0.61/32"},
       {"tcp 10.0.0.60:53 NAT wlc default/dns -> 10.2.0.7:53", "udp 10.0.0.60:53 NAT wlc default/dns -> 10.2.0.7:53",
        "tcp 10.0.0.60:80 " + web80, "tcp 10.0.0.60:443 " + web443,
        "tcp 10.0.0.61:53 NAT wlc default/dns -> 10.2.0.7:53", "udp 10.0.0.61:53 NAT wlc default/dns -> 10.2.0.7:53",
        "tcp 10.0.0.61:80 " + web80, "tcp 10.0.0.61:443 " + web443},
       {}},
      {"ports by name",
       {{"10.0.0.60", "services: [{service: default/web, ports: https}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:443 " + web443},
       {}},
      {"ports by number: every protocol that has it",
       {{"10.0.0.60", "services: [{service: default/dns, ports: 53}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:53 NAT wlc default/dns -> 10.2.0.7:53", "udp 10.0.0.60:53 NAT wlc default/dns -> 10.2.0.7:53"},
       {}},
      {"ports by number and protocol",
       {{"10.0.0.60", "services: [{service: default/dns, ports: 53/udp}]"}},
       {"10.0.0.60/32"},
       {"udp 10.0.0.60:53 NAT wlc default/dns -> 10.2.0.7:53"},
       {}},
      {"a port that is named twice is one",
       {{"10.0.0.60", "services: [{service: default/web, ports: [http, 80, 80/tcp]}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 " + web80},
       {}},
      {"a port that the Service does not have is left out, the others are served",
       {{"10.0.0.60", "services: [{service: default/web, ports: [http, admin, 80/udp]}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 " + web80},
       {"error 10.0.0.60: Service default/web has no port admin: left out; it has http (80/tcp), https (443/tcp)",
        "error 10.0.0.60: Service default/web has no port 80/udp: left out; it has http (80/tcp), https (443/tcp)"}},
      {"several Services share an address if their ports do not clash",
       {{"10.0.0.60", "services: [{service: default/web}, {service: default/api, ports: tls}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 " + web80, "tcp 10.0.0.60:443 " + web443, "tcp 10.0.0.60:6443 " + api6443},
       {}},
      {"within an entry the earlier Service has a port, and it is said once",
       {{"a",
         "addresses: [10.0.0.60, 10.0.0.61]\nservices: [{service: default/api, ports: api}, {service: default/web}]"}},
       {"10.0.0.60/32", "10.0.0.61/32"},
       {"tcp 10.0.0.60:80 " + api80, "tcp 10.0.0.60:443 " + web443, "tcp 10.0.0.61:80 " + api80,
        "tcp 10.0.0.61:443 " + web443},
       {"error a: port http (80/tcp) of Service default/web is taken by an earlier one of the same entry: left out; "
        "choose between them with ports"}},
      {"one Service twice in an entry, with options of its own for each port",
       {{"10.0.0.60",
         "services:\n- {service: default/web, ports: http, scheduler: rr}\n- {service: default/web, ports: https, "
         "method: "
         "TUN}\n"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 NAT rr default/web -> 10.2.0.5:8080",
        "tcp 10.0.0.60:443 TUN wlc default/web -> 10.2.0.5:443"},
       {"warning 10.0.0.60: TUN cannot change ports: port https (443/tcp) of Service default/web reaches the endpoints "
        "on "
        "443, they serve 8443; make targetPort the port, or use NAT"}},
      {"one Service under several VIPs",
       {{"10.0.0.60", "default/api"}, {"b", "addresses: 10.0.0.61\nservices: [{service: default/api}]"}},
       {"10.0.0.60/32", "10.0.0.61/32"},
       {"tcp 10.0.0.60:80 " + api80, "tcp 10.0.0.60:6443 " + api6443, "tcp 10.0.0.61:80 " + api80,
        "tcp 10.0.0.61:6443 " + api6443},
       {}},
      {"several entries share an address with different ports, in both forms",
       {{"10.0.0.60", "default/web"}, {"b", "addresses: 10.0.0.60\nservices: [{service: default/api, ports: tls}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 " + web80, "tcp 10.0.0.60:443 " + web443, "tcp 10.0.0.60:6443 " + api6443},
       {}},
      {"a port belongs to the entry whose key sorts first, by bytes: B before a, 10.0.0.60 before both",
       {{"a", "addresses: 10.0.0.60\nservices: [{service: default/web}]"},
        {"B", "addresses: 10.0.0.60\nservices: [{service: default/api, ports: 80/tcp}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 " + api80, "tcp 10.0.0.60:443 " + web443},
       {"error a: tcp 10.0.0.60:80 is served by the entry \"B\", whose key sorts first: left out here; use another "
        "address or port"}},
      {"a port stays the first entry's while nothing is ready behind it, and its clients never reach the other's",
       {{"10.0.0.60", "default/idle"}, {"w", "addresses: 10.0.0.60\nservices: [{service: default/api, ports: api}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 NAT wlc default/idle ->"},
       {"warning 10.0.0.60: port 80/tcp of Service default/idle: it has no endpoints: the address is held, new "
        "connections to the port are refused",
        "error w: tcp 10.0.0.60:80 is served by the entry \"10.0.0.60\", whose key sorts first: left out here; use "
        "another address or port"}},
      {"and the first service's within an entry",
       {{"w", "addresses: 10.0.0.60\nservices: [{service: default/idle}, {service: default/api, ports: api}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 NAT wlc default/idle ->"},
       {"warning w: port 80/tcp of Service default/idle: it has no endpoints: the address is held, new connections to "
        "the port are refused",
        "error w: port api (80/tcp) of Service default/api is taken by an earlier one of the same entry: left out; "
        "choose between them with ports"}},
      {"of a port that is an earlier one's it is not said that nothing is behind it",
       {{"w", "addresses: 10.0.0.60\nservices: [{service: default/api, ports: api}, {service: default/idle}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 " + api80},
       {"error w: port 80/tcp of Service default/idle is taken by an earlier one of the same entry: left out; choose "
        "between them with ports"}},
      {"an address that two entries say differently is held as the first says",
       {{"a", "addresses: 10.0.0.60/24"},
        {"b", "addresses: 10.0.0.60/25\ninterface: eth1"},
        {"c", "addresses: 10.0.0.60"},
        {"d", "addresses: 10.0.0.60/24"}},
       {"10.0.0.60/24"},
       {},
       {"warning b: 10.0.0.60/25 on eth1 is held as 10.0.0.60/24, as the entry \"a\" says, whose key sorts first: let "
        "both "
        "say the same"}},
      {"a Service that is not there, and what the others of the entry get",
       {{"10.0.0.60", "services: [{service: default/gone}, {service: default/api, ports: tls}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:6443 " + api6443},
       {"error 10.0.0.60: Service default/gone does not exist: the address is held, nothing is forwarded; create it or "
        "mend the entry"}},
      {"a Service outside --watch-namespace",
       {{"10.0.0.60", "services: [{service: other/web}, {service: default/api, ports: tls}]"}},
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:6443 " + api6443},
       {"error 10.0.0.60: Service other/web is outside --watch-namespace=default: the address is held, nothing is "
        "forwarded"},
       [](PlanOptions& with) { with.watch_namespace = "default"; }},
  };
  for (const auto& row : rows) check(row, cluster());
}

TEST_CASE("methods that cannot be served as they are", "[plan][rules][extended][methods]") {
  const std::string at = "10.0.0.60: ";
  const auto entry = [](const char* method) {
    return Data{{"10.0.0.60", std::string("services: [{service: default/web, ports: 80, method: ") + method + "}]"}};
  };
  const Row rows[] = {
      {"PROXY without --proxy-protocol-mode is NAT, with a warning",
       entry("PROXY"),
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 NAT wlc default/web -> 10.2.0.5:8080"},
       {"warning " + at + "method PROXY of Service default/web is served as NAT: it needs --proxy-protocol-mode"}},
      {"PROXY with it is not available yet",
       entry("PROXY"),
       {"10.0.0.60/32"},
       {},
       {"error " + at +
        "method PROXY of Service default/web is not available yet: the address is held, nothing is "
        "forwarded; use NAT or DR"},
       [](PlanOptions& with) { with.proxy_protocol_mode = true; }},
      {"DR where port and endpoint port differ is served, with a warning",
       entry("DR"),
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 DR wlc default/web -> 10.2.0.5:80"},
       {"warning " + at +
        "DR cannot change ports: port http (80/tcp) of Service default/web reaches the endpoints on 80, "
        "they serve 8080; make targetPort the port, or use NAT"}},
      {"so is TUN",
       entry("TUN"),
       {"10.0.0.60/32"},
       {"tcp 10.0.0.60:80 TUN wlc default/web -> 10.2.0.5:80"},
       {"warning " + at +
        "TUN cannot change ports: port http (80/tcp) of Service default/web reaches the endpoints on "
        "80, they serve 8080; make targetPort the port, or use NAT"}},
  };
  for (const auto& row : rows) check(row, cluster());
}

TEST_CASE("options: entry, then annotation, then the Service itself, then the default", "[plan][rules][extended]") {
  struct Options {
    const char* entry;  // of the service; with a leading comma
    std::map<std::string, std::string> annotations;
    std::optional<std::uint32_t> affinity;
    const char* served;
    std::vector<std::string> problems;
  };
  const std::string at = "10.0.0.60: ";
  const Options rows[] = {
      {"", {}, {}, "NAT wlc default/one -> 10.2.0.5:80", {}},
      {"", {}, 10800, "NAT wlc 10800s default/one -> 10.2.0.5:80", {}},
      {"",
       {{"persistence", "60"}, {"scheduler", "rr"}, {"method", "DR"}},
       10800,
       "DR rr 60s default/one -> 10.2.0.5:80",
       {}},
      {", persistence: 30s, scheduler: mh, method: TUN",
       {{"persistence", "60"}, {"scheduler", "rr"}, {"method", "DR"}},
       10800,
       "TUN mh 30s default/one -> 10.2.0.5:80",
       {}},
      {", persistence: 0", {{"persistence", "60"}}, 10800, "NAT wlc default/one -> 10.2.0.5:80", {}},
      {", scheduler: mh", {{"persistence", "60"}}, {}, "NAT mh 60s default/one -> 10.2.0.5:80", {}},
      // An annotation that the entry speaks over may be anything; the others are told.
      {", scheduler: mh", {{"scheduler", "best"}}, {}, "NAT mh default/one -> 10.2.0.5:80", {}},
      {"",
       {{"persistence", "soon"}},
       60,
       "NAT wlc 60s default/one -> 10.2.0.5:80",
       {"warning " + at +
        "annotation vipkeeper.io/persistence of Service default/one: \"soon\" is no duration of up to 31 "
        "days like 90s, 30m, 1h or seconds; left out"}},
      {", masquerade: never", {}, {}, "NAT wlc masquerade never default/one -> 10.2.0.5:80", {}},
      {", masquerade: auto", {{"masquerade", "always"}}, {}, "NAT wlc default/one -> 10.2.0.5:80", {}},
      {", masquerade: always",
       {{"masquerade", "never"}},
       {},
       "NAT wlc masquerade always default/one -> 10.2.0.5:80",
       {}},
      {"", {{"masquerade", "always"}}, {}, "NAT wlc masquerade always default/one -> 10.2.0.5:80", {}},
      {"",
       {{"masquerade", "yes"}},
       {},
       "NAT wlc default/one -> 10.2.0.5:80",
       {"warning " + at +
        "annotation vipkeeper.io/masquerade of Service default/one: \"yes\" is none of auto, always and never; left "
        "out"}},
  };
  for (const auto& row : rows) {
    INFO(row.entry);
    auto one = service({port(80, 80)}, row.annotations);
    one.affinity_seconds = row.affinity;
    check({"options",
           {{"10.0.0.60", std::string("services: [{service: default/one") + row.entry + "}]"}},
           {"10.0.0.60/32"},
           {std::string("tcp 10.0.0.60:80 ") + row.served},
           row.problems},
          {is("default/one", one), is("default/one-1", slice("one", {on(80)}, {ready("10.2.0.5")}))});
  }
}

TEST_CASE("health checks: what TCP can do is done, the rest is said", "[plan][rules][extended][checks]") {
  struct Checks {
    const char* entry;
    const char* annotation;
    HealthCheck tcp;  // of the TCP port
    HealthCheck udp;
    const char* unavailable;
  };
  const HealthCheck tcp;
  HealthCheck none;
  none.type = CheckType::none;
  HealthCheck slow;
  slow.interval_seconds = 30;
  slow.timeout_seconds = 10;
  slow.retries = 2;
  slow.retry_seconds = 4;
  HealthCheck elsewhere;
  elsewhere.port = 8081;
  const Checks rows[] = {
      {"", "", tcp, none, ""},
      {", healthCheck: {type: tcp}", "", tcp, none, ""},
      {", healthCheck: {type: none}", "", none, none, ""},
      {"", "none", none, none, ""},
      {", healthCheck: tcp", "none", tcp, none, ""},
      {", healthCheck: {interval: 30s, timeout: 10s, retries: 2, retryInterval: 4s}", "", slow, none, ""},
      {"", "{interval: 30s, timeout: 10s, retries: 2, retryInterval: 4s}", slow, none, ""},
      // A port that takes connections tells of a UDP Service too.
      {", healthCheck: {port: 8081}", "", elsewhere, elsewhere, ""},
      {", healthCheck: {type: http, path: /healthz}", "", tcp, none, "http"},
      {", healthCheck: {type: https}", "", tcp, none, "https"},
      {", healthCheck: {type: udp}", "", tcp, none, "udp"},
      {"", "https", tcp, none, "https"},
  };
  for (const auto& row : rows) {
    INFO(row.entry << " / " << row.annotation);
    auto one = service({port(53, 53, "tcp"), port(53, 53, "udp", Protocol::udp)});
    if (*row.annotation != '\0') one.annotations["health-check"] = row.annotation;
    const auto planner = planner_with(
        {is("default/one", one),
         is("default/one-1", slice("one", {on(53, "tcp"), on(53, "udp", Protocol::udp)}, {ready("10.2.0.5")})),
         entries({{"10.0.0.60", std::string("services: [{service: default/one") + row.entry + "}]"}})});
    REQUIRE(planner.plan().virtual_services.size() == 2);
    CHECK(planner.plan().virtual_services.begin()->second->check == row.tcp);
    CHECK(std::next(planner.plan().virtual_services.begin())->second->check == row.udp);
    const std::string type = row.unavailable;
    CHECK(problems(planner.plan()) ==
          (type.empty() ? Lines{}
                        : Lines{"error ConfigMap default/vips key 10.0.0.60: health check " + type +
                                " of Service default/one is not available yet: TCP ports are checked by a connection "
                                "instead, others not at all; write tcp or none"}));
  }
}

TEST_CASE("the last good form of an extended entry stays, planned with today's objects",
          "[plan][rules][extended][last-good]") {
  auto changes = cluster();
  changes.push_back(
      entries({{"a", "addresses: 10.0.0.60/24\ninterface: eth1\nservices: [{service: default/api, ports: tls}]"},
               {"b", "addresses: 10.0.0.61"}}));
  auto planner = planner_with(changes, options(), {{"eth0", cidr("10.0.0.4/24")}, {"eth1", cidr("192.168.5.1/24")}});
  const Lines address = {"10.0.0.60/24 dev eth1", "10.0.0.61/32"};
  CHECK(held(planner.plan()) == address);
  step(planner, entries({{"a", "addresses: 10.0.0.62\ncolour: red"}, {"b", "addresses: 10.0.0.61"}}));
  CHECK(held(planner.plan()) == address);
  step(planner, is("default/api-1", slice("api", {on(6443, "tls")}, {ready("10.2.0.9")})));
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.60:6443 NAT wlc default/api -> 10.2.0.9:6443"});
  CHECK(
      problems(planner.plan()) ==
      Lines{
          "error ConfigMap default/vips key a: unknown field \"colour\": there are addresses, interface, services; the "
          "entry's last good form stays in force"});
  // From one form to the other, and back to nothing.
  step(planner, entries({{"a", "addresses: 10.0.0.62"}, {"10.0.0.60", "default/api"}}));
  CHECK(held(planner.plan()) == Lines{"10.0.0.60/32", "10.0.0.62/32"});
  step(planner, entries({}));
  CHECK(held(planner.plan()).empty());
}

TEST_CASE("an interface that comes judges the entries that name it, and no others",
          "[plan][rules][extended][interfaces]") {
  auto planner =
      planner_with({entries({{"a", "addresses: 10.0.0.60\ninterface: eth9"}, {"b", "addresses: 10.0.0.61"}})});
  CHECK(held(planner.plan()) == Lines{"10.0.0.60/32 dev eth9 no_track", "10.0.0.61/32"});
  CHECK(problems(planner.plan()).size() == 1);
  const auto before = planner.counters();
  auto interfaces = eth0();
  interfaces.push_back({"veth7", cidr("0.0.0.0/32")});
  CHECK(planner.set_interfaces(interfaces).empty());
  CHECK(planner.counters().entries_judged == before.entries_judged);
  interfaces.push_back({"eth9", cidr("0.0.0.0/32")});
  CHECK(planner.set_interfaces(interfaces).vrrp_changed);
  CHECK(planner.counters().entries_judged == before.entries_judged + 1);
  CHECK(held(planner.plan()) == Lines{"10.0.0.60/32 dev eth9", "10.0.0.61/32"});
  CHECK(problems(planner.plan()).empty());
}

}  // namespace
}  // namespace vipkeeper::plan
