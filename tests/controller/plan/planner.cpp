#include "controller/plan/planner.h"

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

const std::vector<objects::ObjectChange> web = {
    is("default/web", service({port(80, 8080, "http")})),
    is("default/web-1", slice("web", {on(8080, "http")}, {ready("10.2.0.5"), ready("10.2.0.6")}))};

std::vector<objects::ObjectChange> web_and(std::map<std::string, std::string> data) {
  auto changes = web;
  changes.push_back(entries(std::move(data)));
  return changes;
}

const std::string at = "ConfigMap default/vips key 10.0.0.50: ";

TEST_CASE("an entry holds its address and serves every port of its Service", "[plan][services]") {
  auto changes = web_and({{"10.0.0.50", "default/dns"}, {"10.0.0.51", ""}});
  changes.push_back(is("default/dns", service({port(53, 5353, "dns", Protocol::udp), port(53, 5353, "dns-tcp"),
                                               port(9153, 9153, "metrics")})));
  changes.push_back(is(
      "default/dns-1",
      slice("dns", {on(5353, "dns", Protocol::udp), on(5353, "dns-tcp"), on(9153, "metrics")}, {ready("10.2.0.7")})));
  const auto planner = planner_with(changes);
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.51/32"});
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:53 NAT wlc default/dns -> 10.2.0.7:5353",
                                          "udp 10.0.0.50:53 NAT wlc default/dns -> 10.2.0.7:5353",
                                          "tcp 10.0.0.50:9153 NAT wlc default/dns -> 10.2.0.7:9153"});
  CHECK(problems(planner.plan()).empty());
  CHECK(planner.plan().virtual_services.begin()->second->check.type == CheckType::tcp);
  CHECK(std::next(planner.plan().virtual_services.begin())->second->check.type == CheckType::none);
}

TEST_CASE("the Virtual Router takes its values from flags and Nodes", "[plan][services]") {
  auto with = options();
  with.vrid = 179;
  with.use_unicast = true;
  with.advert_interval = std::chrono::milliseconds(100);
  with.notify = "/notify.sh";
  auto changes = web_and({{"10.0.0.50", ""}, {"192.168.5.5", ""}});
  changes.push_back(is("n0", node("10.0.0.3")));
  const auto planner = planner_with(changes, with, {{"eth0", cidr("10.0.0.4/24")}, {"eth1", cidr("192.168.5.1/24")}});
  REQUIRE(planner.plan().vrrp != nullptr);
  const auto& vrrp = *planner.plan().vrrp;
  CHECK(vrrp.name == "vips");
  CHECK(vrrp.interface == "eth0");
  CHECK(vrrp.vrid == 179);
  CHECK(vrrp.priority == 101);
  CHECK(vrrp.advert_interval == std::chrono::milliseconds(100));
  CHECK(vrrp.unicast);
  CHECK(vrrp.source == ip("10.0.0.4"));
  CHECK(vrrp.peers == std::vector{ip("10.0.0.3")});
  CHECK(vrrp.notify == "/notify.sh");
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "192.168.5.5/32 dev eth1"});
}

TEST_CASE("no VIP, no Virtual Router", "[plan][services]") {
  auto planner = planner_with({entries({})});
  CHECK(planner.plan().ready);
  CHECK(planner.plan().vrrp == nullptr);
  const auto change = step(planner, entries({{"10.0.0.50", ""}}));
  CHECK(change.vrrp_changed);
  CHECK(change.vrrp != nullptr);
  const auto removed = step(planner, entries({}));
  CHECK(removed.vrrp_changed);
  CHECK(removed.vrrp == nullptr);
}

TEST_CASE("what is missing behind an address is reported, and the address held all the same",
          "[plan][services][rules]") {
  struct Row {
    std::vector<objects::ObjectChange> objects;
    const char* problem;
    Lines services{};
  };
  auto external = service({port(80, 80)});
  external.type = "ExternalName";
  const Row rows[] = {
      {{},
       "error Service default/web does not exist: the address is held, nothing is forwarded; create it or mend the "
       "entry"},
      {{is("default/web", service({}))},
       "error Service default/web has no ports: the address is held, nothing is forwarded; add spec.ports"},
      {{is("default/web", external)},
       "error Service default/web is of type ExternalName, it has no endpoints: the address is held, nothing is "
       "forwarded"},
      {{web[0]},
       "warning port http (80/tcp) of Service default/web: it has no endpoints: the address is held, new connections "
       "to the port are refused",
       {"tcp 10.0.0.50:80 NAT wlc default/web ->"}},
      {{web[0], is("default/web-1", slice("web", {on(1, "other")}, {ready("10.2.0.5")}))},
       "warning port http (80/tcp) of Service default/web: no endpoint has a tcp port named \"http\": the address is "
       "held, new connections to the port are refused",
       {"tcp 10.0.0.50:80 NAT wlc default/web ->"}},
  };
  for (const auto& row : rows) {
    auto changes = row.objects;
    changes.push_back(entries({{"10.0.0.50", "default/web"}}));
    const auto planner = planner_with(changes);
    CHECK(held(planner.plan()) == Lines{"10.0.0.50/32"});
    CHECK(services(planner.plan()) == row.services);
    const std::string text = row.problem;
    const auto space = text.find(' ');
    CHECK(problems(planner.plan()) == Lines{text.substr(0, space) + " " + at + text.substr(space + 1)});
  }
}

TEST_CASE("a Service outside --watch-namespace is as good as missing, and said to be outside",
          "[plan][services][rules]") {
  auto with = options();
  with.watch_namespace = "prod";
  const auto planner = planner_with(web_and({{"10.0.0.50", "default/web"}}), with);
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32"});
  CHECK(problems(planner.plan()) == Lines{"error " + at +
                                          "Service default/web is outside --watch-namespace=prod: the "
                                          "address is held, nothing is forwarded"});
}

TEST_CASE("methods: entry, then annotation, then NAT; PROXY and DR within their limits", "[plan][services][rules]") {
  struct Row {
    const char* value;
    const char* annotation;
    const char* service;
    const char* problem;
  };
  const Row rows[] = {
      {"default/web", "", "NAT wlc default/web -> 10.2.0.5:80", ""},
      {"default/web:DR", "", "DR wlc default/web -> 10.2.0.5:80", ""},
      {"default/web", "DR", "DR wlc default/web -> 10.2.0.5:80", ""},
      {"default/web:NAT", "DR", "NAT wlc default/web -> 10.2.0.5:80", ""},
      {"default/web:PROXY", "", "NAT wlc default/web -> 10.2.0.5:80",
       "warning method PROXY of Service default/web is served as NAT: it needs --proxy-protocol-mode"},
      {"default/web", "TUN", "TUN wlc default/web -> 10.2.0.5:80", ""},
      {"default/web", "dr", "NAT wlc default/web -> 10.2.0.5:80",
       "warning annotation vipkeeper.io/method of Service default/web: \"dr\" is none of NAT, DR, TUN and PROXY (in "
       "capitals); left out"},
  };
  for (const auto& row : rows) {
    INFO(row.value << " " << row.annotation);
    std::map<std::string, std::string> annotations;
    if (*row.annotation != '\0') annotations["method"] = row.annotation;
    const auto planner = planner_with({is("default/web", service({port(80, 80)}, annotations)),
                                       is("default/web-1", slice("web", {on(80)}, {ready("10.2.0.5")})),
                                       entries({{"10.0.0.50", row.value}})});
    CHECK(held(planner.plan()) == Lines{"10.0.0.50/32"});
    CHECK(services(planner.plan()) ==
          (*row.service == '\0' ? Lines{} : Lines{"tcp 10.0.0.50:80 " + std::string(row.service)}));
    const std::string problem = row.problem;
    const auto space = problem.find(' ');
    CHECK(problems(planner.plan()) ==
          (problem.empty() ? Lines{} : Lines{problem.substr(0, space) + " " + at + problem.substr(space + 1)}));
  }
}

TEST_CASE("with --proxy-protocol-mode a PROXY entry holds its address and says what is not available yet",
          "[plan][services][rules]") {
  auto with = options();
  with.proxy_protocol_mode = true;
  const auto planner = planner_with(web_and({{"10.0.0.50", "default/web:PROXY"}, {"10.0.0.51", "default/web"}}), with);
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.51/32"});
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.51:80 NAT wlc default/web -> 10.2.0.5:8080 10.2.0.6:8080"});
  CHECK(problems(planner.plan()) == Lines{"error " + at +
                                          "method PROXY of Service default/web is not available yet: the "
                                          "address is held, nothing is forwarded; use NAT or DR"});
}

TEST_CASE("DR reaches the endpoints on the VIP's port, whatever they serve, with a warning",
          "[plan][services][rules]") {
  const auto planner = planner_with(web_and({{"10.0.0.50", "default/web:DR"}}));
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:80 DR wlc default/web -> 10.2.0.5:80 10.2.0.6:80"});
  CHECK(problems(planner.plan()) ==
        Lines{"warning " + at +
              "DR cannot change ports: port http (80/tcp) of Service default/web reaches the endpoints "
              "on 80, they serve 8080; make targetPort the port, or use NAT"});
}

TEST_CASE("scheduler, persistence and health check come from annotations, persistence else from sessionAffinity",
          "[plan][services][rules]") {
  struct Row {
    std::map<std::string, std::string> annotations;
    std::optional<std::uint32_t> affinity;
    const char* scheduler;
    std::uint32_t persistence;
    CheckType check;
    const char* warning;
  };
  const Row rows[] = {
      {{}, {}, "wlc", 0, CheckType::tcp, ""},
      {{}, 10800, "wlc", 10800, CheckType::tcp, ""},
      {{{"scheduler", "mh"}, {"persistence", "30m"}}, 10800, "mh", 1800, CheckType::tcp, ""},
      {{{"scheduler", " rr\n"}, {"persistence", "0"}}, 10800, "rr", 0, CheckType::tcp, ""},
      {{{"persistence", "90s"}, {"health-check", "none"}, {"masquerade", "auto"}}, {}, "wlc", 90, CheckType::none, ""},
      {{{"persistence", "1h"}, {"health-check", "tcp"}}, {}, "wlc", 3600, CheckType::tcp, ""},
      {{{"scheduler", "best"}},
       {},
       "wlc",
       0,
       CheckType::tcp,
       "vipkeeper.io/scheduler of Service default/web: \"best\" is none of"},
      {{{"persistence", "1d"}},
       60,
       "wlc",
       60,
       CheckType::tcp,
       "vipkeeper.io/persistence of Service default/web: \"1d\" is no duration"},
      {{{"persistence", "745h"}}, {}, "wlc", 0, CheckType::tcp, "\"745h\" is no duration of up to 31 days"},
      {{{"sheduler", "rr"}},
       {},
       "wlc",
       0,
       CheckType::tcp,
       "vipkeeper.io/sheduler of Service default/web: unknown option \"sheduler\": did you mean scheduler?"},
      {{{"colour", "rr"}},
       {},
       "wlc",
       0,
       CheckType::tcp,
       "vipkeeper.io/colour of Service default/web: unknown option \"colour\": there are method, scheduler, "
       "persistence, masquerade, health-check"},
      {{{"health-check", "{type: tcp, intervall: 9s}"}},
       {},
       "wlc",
       0,
       CheckType::tcp,
       "vipkeeper.io/health-check of Service default/web: unknown field \"intervall\": did you mean interval?"},
      {{{"health-check", "{type"}},
       {},
       "wlc",
       0,
       CheckType::tcp,
       "vipkeeper.io/health-check of Service default/web: line 1"},
  };
  for (const auto& row : rows) {
    auto with = service({port(80, 80)}, row.annotations);
    with.affinity_seconds = row.affinity;
    const auto planner =
        planner_with({is("default/web", with), is("default/web-1", slice("web", {on(80)}, {ready("10.2.0.5")})),
                      entries({{"10.0.0.50", "default/web"}})});
    REQUIRE(planner.plan().virtual_services.size() == 1);
    const auto& planned = *planner.plan().virtual_services.begin()->second;
    INFO(shown(planned));
    CHECK(planned.scheduler == row.scheduler);
    CHECK(planned.persistence_seconds == row.persistence);
    CHECK(planned.check.type == row.check);
    const auto all = problems(planner.plan());
    if (*row.warning == '\0') {
      CHECK(all.empty());
    } else {
      REQUIRE(all.size() == 1);
      CHECK_THAT(all[0],
                 Catch::StartsWith("warning ") && Catch::Contains(row.warning) && Catch::EndsWith("; left out"));
    }
  }
}

TEST_CASE("a bad entry takes down neither another nor what the same entry held before", "[plan][last-good][rules]") {
  auto planner = planner_with(web_and({{"10.0.0.50", "default/web"}, {"10.0.0.51", ""}}));
  const auto before = services(planner.plan());
  const auto change =
      step(planner, entries({{"10.0.0.50", "default/web:nat"}, {"10.0.0.52", ""}, {"README", "hello"}}));
  CHECK(services(planner.plan()) == before);
  CHECK(change.virtual_services.empty());
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32", "10.0.0.52/32"});
  const auto all = problems(planner.plan());
  REQUIRE(all.size() == 2);
  CHECK_THAT(all[0], Catch::StartsWith("error " + at + "method \"nat\"") &&
                         Catch::EndsWith("the entry's last good form stays in force"));
  CHECK_THAT(all[1],
             Catch::StartsWith("error ConfigMap default/vips key README: key \"README\" is not an IP address") &&
                 Catch::EndsWith("; the entry is left out"));

  // The last good form is a text: it is served with today's endpoints.
  step(planner, is("default/web-1", slice("web", {on(8080, "http")}, {ready("10.2.0.9")})));
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:80 NAT wlc default/web -> 10.2.0.9:8080"});

  // Mended, it is forgotten; removed, it does not come back.
  step(planner, entries({{"10.0.0.50", ""}}));
  CHECK(services(planner.plan()).empty());
  step(planner, entries({}));
  step(planner, entries({{"10.0.0.50", "nonsense"}}));
  CHECK(held(planner.plan()).empty());
}

TEST_CASE("an empty ConfigMap removes, a deleted one removes nothing", "[plan][last-good][rules]") {
  auto planner = planner_with(web_and({{"10.0.0.50", "default/web"}}));
  const auto before = services(planner.plan());
  const auto deleted = step(planner, gone(objects::Kind::config_map, "default/vips"));
  CHECK_FALSE(deleted.vrrp_changed);
  CHECK(services(planner.plan()) == before);
  CHECK(
      problems(planner.plan()) ==
      Lines{"error ConfigMap default/vips: it was deleted: its last entries stay in force; create it again (empty, to "
            "give the addresses up)"});
  step(planner, entries({{"10.0.0.50", "default/web"}}));
  CHECK(problems(planner.plan()).empty());
  const auto emptied = step(planner, entries({}));
  CHECK(services(emptied) == Lines{"tcp 10.0.0.50:80 gone"});
  CHECK(held(planner.plan()).empty());
}

TEST_CASE("a ConfigMap that is not there yet is no error", "[plan][rules]") {
  auto planner = planner_with({});
  CHECK(planner.plan().ready);
  CHECK(problems(planner.plan()) ==
        Lines{"warning ConfigMap default/vips: it does not exist: no address is held; create it, or check "
              "--services-configmap"});
}

TEST_CASE("an address that somebody has is refused until it is free", "[plan][addresses][rules]") {
  auto planner = planner_with({entries({{"10.0.0.7", ""}, {"10.0.0.8", ""}}), is("n2", node("10.0.0.7"))});
  CHECK(held(planner.plan()) == Lines{"10.0.0.8/32"});
  CHECK(problems(planner.plan()) == Lines{"error ConfigMap default/vips key 10.0.0.7: 10.0.0.7 is the address of Node "
                                          "n2: use another address; the entry is left out"});
  step(planner, gone(objects::Kind::node, "n2"));
  CHECK(held(planner.plan()) == Lines{"10.0.0.7/32", "10.0.0.8/32"});
  CHECK(problems(planner.plan()).empty());
}

TEST_CASE("an address in use is not given up because an object took it later", "[plan][addresses][last-good][rules]") {
  auto planner = planner_with({entries({{"10.0.0.7", ""}})});
  auto ranged = node("10.0.0.9");
  ranged.pod_cidrs = {cidr("10.0.0.0/29")};
  step(planner, is("n2", ranged));
  CHECK(held(planner.plan()) == Lines{"10.0.0.7/32"});
  CHECK(problems(planner.plan()) ==
        Lines{"error ConfigMap default/vips key 10.0.0.7: 10.0.0.7 is inside the podCIDRs of Node n2: use another "
              "address; the entry's last good form stays in force"});
}

TEST_CASE("entries may share an address; a port belongs to the entry whose key sorts first", "[plan][clashes][rules]") {
  auto changes = web_and({{"10.0.0.50", "default/web"}, {" 10.0.0.50", "default/api"}});
  changes.push_back(is("default/api", service({port(80, 80, "a"), port(81, 81, "b")})));
  changes.push_back(is("default/api-1", slice("api", {on(80, "a"), on(81, "b")}, {ready("10.2.0.8")})));
  auto planner = planner_with(changes);
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32"});
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:80 NAT wlc default/api -> 10.2.0.8:80",
                                          "tcp 10.0.0.50:81 NAT wlc default/api -> 10.2.0.8:81"});
  CHECK(problems(planner.plan()) ==
        Lines{"error " + at +
              "tcp 10.0.0.50:80 is served by the entry \" 10.0.0.50\", whose key sorts first: left out "
              "here; use another address or port"});
  // The winner's going brings the other in.
  const auto change = step(planner, gone(objects::Kind::service, "default/api"));
  CHECK(services(change) ==
        Lines{"tcp 10.0.0.50:80 NAT wlc default/web -> 10.2.0.5:8080 10.2.0.6:8080", "tcp 10.0.0.50:81 gone"});
  CHECK(problems(planner.plan()).size() == 1);
}

TEST_CASE("a virtual service whose endpoints go and come stays, and a change of them is one change",
          "[plan][endpoints][drain][rules]") {
  const auto http = service({port(80, 8080, "http")});
  const auto with = [](std::vector<objects::Endpoint> endpoints) {
    return is("default/web-1", slice("web", {on(8080, "http")}, std::move(endpoints)));
  };
  const std::string none = "tcp 10.0.0.50:80 NAT wlc default/web ->";
  const objects::Endpoint leaving{.address = ip("10.2.0.5"), .ready = false, .serving = false, .terminating = true};
  auto planner = planner_with({is("default/web", http), with({}), entries({{"10.0.0.50", "default/web"}})});
  CHECK(services(planner.plan()) == Lines{none});
  CHECK(problems(planner.plan()).size() == 1);
  CHECK(services(step(planner, with({ready("10.2.0.5")}))) == Lines{none + " 10.2.0.5:8080"});
  CHECK(problems(planner.plan()).empty());
  // The only one ends: what it has goes on, nothing new is let in.
  CHECK(services(step(planner, with({leaving}))) == Lines{none + " 10.2.0.5:8080~"});
  CHECK(problems(planner.plan()) ==
        Lines{"warning " + at +
              "port http (80/tcp) of Service default/web: none of its 1 endpoints is ready: the address is held, new "
              "connections to the port are refused"});
  CHECK(services(step(planner, gone(objects::Kind::endpoint_slice, "default/web-1"))) == Lines{none});
  CHECK(services(step(planner, gone(objects::Kind::service, "default/web"))) == Lines{"tcp 10.0.0.50:80 gone"});
}

TEST_CASE("nothing is planned before everything was listed once, nor handed out before the own node is known",
          "[plan][rules]") {
  Planner planner(options());
  planner.set_interfaces(eth0());
  const auto objects = web_and({{"10.0.0.50", "default/web"}});
  const auto early = planner.apply(objects, false);
  CHECK_FALSE(early.ready);
  CHECK(early.empty());
  const auto waiting = planner.apply({}, true);
  CHECK_FALSE(waiting.ready);
  CHECK(waiting.virtual_services.empty());
  CHECK_FALSE(waiting.vrrp_changed);
  CHECK(waiting.problems.contains("Node n1"));
  CHECK(planner.plan().virtual_services.empty());
  const auto known = step(planner, is("n1", node("10.0.0.4")));
  CHECK(known.ready);
  CHECK(known.vrrp_changed);
  CHECK(services(known).size() == 1);
  CHECK(known.problems.at("Node n1").empty());
  // Lost sight of, it goes on.
  const auto lost = step(planner, gone(objects::Kind::node, "n1"));
  CHECK(lost.ready);
  CHECK_FALSE(lost.vrrp_changed);
  CHECK(lost.problems.contains("Node n1"));
  CHECK(services(planner.plan()).size() == 1);
}

TEST_CASE("Endpoints count where a Service has no EndpointSlice", "[plan][endpoints]") {
  const objects::Endpoints old{.subsets = {slice("web", {on(8080, "http")}, {ready("10.2.0.77")})}};
  auto planner = planner_with({web[0], is("default/web", old), entries({{"10.0.0.50", "default/web"}})});
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:80 NAT wlc default/web -> 10.2.0.77:8080"});
  step(planner, web[1]);
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:80 NAT wlc default/web -> 10.2.0.5:8080 10.2.0.6:8080"});
  step(planner, gone(objects::Kind::endpoint_slice, "default/web-1"));
  CHECK(services(planner.plan()) == Lines{"tcp 10.0.0.50:80 NAT wlc default/web -> 10.2.0.77:8080"});
}

TEST_CASE("an endpoint's change plans the entries of its Service and nothing else, among 5,000 Services",
          "[plan][incremental][cost]") {
  constexpr int count = 5000;
  std::vector<objects::ObjectChange> changes;
  std::map<std::string, std::string> data;
  for (int i = 0; i < count; ++i) {
    const auto name = "s" + std::to_string(i);
    data[IpAddress::v4(0x0a640000U + static_cast<std::uint32_t>(i)).to_string()] = "default/" + name;
    changes.push_back(is("default/" + name, service({port(80, 8080, "http")})));
    changes.push_back(is("default/" + name + "-1", slice(name, {on(8080, "http")}, {ready("10.2.0.5")})));
  }
  changes.push_back(entries(data));
  auto planner = planner_with(changes);
  REQUIRE(planner.plan().virtual_services.size() == count);
  const auto before = planner.counters();
  CHECK(before.entries_judged == count);
  CHECK(before.forwardings_planned == count);
  const auto change =
      step(planner, is("default/s77-1", slice("s77", {on(8080, "http")}, {ready("10.2.0.5"), ready("10.2.0.6")})));
  CHECK(services(change) == Lines{"tcp 10.100.0.77:80 NAT wlc default/s77 -> 10.2.0.5:8080 10.2.0.6:8080"});
  CHECK(change.problems.empty());
  CHECK_FALSE(change.vrrp_changed);
  CHECK(planner.counters().entries_judged == before.entries_judged);
  CHECK(planner.counters().forwardings_planned == before.forwardings_planned + 1);
  CHECK(planner.counters().virtual_routers_planned == before.virtual_routers_planned);
  // An endpoint nobody asked for, and an object that says what is known, cost nothing.
  step(planner, is("default/other-1", slice("other", {on(8080, "http")}, {ready("10.2.0.5")})));
  const auto same_again =
      step(planner, is("default/s77-1", slice("s77", {on(8080, "http")}, {ready("10.2.0.5"), ready("10.2.0.6")})));
  CHECK(same_again.empty());
  CHECK(planner.counters().forwardings_planned == before.forwardings_planned + 1);
}

TEST_CASE("what says nothing new, or concerns nobody any more, plans nothing", "[plan][incremental][cost]") {
  auto changes = web_and({{"10.0.0.50", "default/web"}});
  changes.push_back(is("n2", node("10.0.0.5")));
  auto planner = planner_with(changes);
  step(planner, entries({{"10.0.0.50", "default/other"}}));
  const auto before = planner.counters();
  // Left by its last entry.
  step(planner, gone(objects::Kind::endpoint_slice, "default/web-1"));
  // A kubelet's heartbeat, and what a relist repeats.
  step(planner, is("n2", node("10.0.0.5")));
  step(planner, entries({{"10.0.0.50", "default/other"}}));
  step(planner, web[0]);
  CHECK(planner.counters().entries_judged == before.entries_judged);
  CHECK(planner.counters().forwardings_planned == before.forwardings_planned);
  CHECK(planner.counters().virtual_routers_planned == before.virtual_routers_planned);
}

TEST_CASE("of a ConfigMap that changed the entries that differ are looked at, wherever they stand",
          "[plan][incremental][cost]") {
  struct Row {
    std::map<std::string, std::string> was, now;
    std::set<std::string> touched;
  };
  const Row rows[] = {
      {{}, {{"a", ""}, {"b", ""}}, {"a", "b"}},
      {{{"a", ""}, {"b", ""}}, {}, {"a", "b"}},
      {{{"b", ""}, {"d", ""}}, {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}, {"a", "c", "e"}},
      {{{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}, {{"b", ""}, {"d", ""}}, {"a", "c", "e"}},
      {{{"a", "1"}, {"b", "1"}, {"d", ""}}, {{"b", "2"}, {"c", ""}, {"d", ""}}, {"a", "b", "c"}}};
  for (const auto& row : rows) {
    Snapshot snapshot(options());
    Touched touched;
    snapshot.apply(entries(row.was), touched);
    touched = {};
    snapshot.apply(entries(row.now), touched);
    CHECK(touched.entries == row.touched);
    // A deletion removes nothing, and what comes back is compared with what was there last.
    touched = {};
    snapshot.apply(gone(objects::Kind::config_map, "default/vips"), touched);
    CHECK(touched.config_map);
    snapshot.apply(entries(row.now), touched);
    CHECK(touched.entries.empty());
  }
}

TEST_CASE("a held VIP that shows up on the interface plans nothing again", "[plan][incremental][interfaces]") {
  auto planner = planner_with({entries({{"10.0.0.50", ""}})});
  const auto before = planner.counters();
  auto with_vip = eth0();
  with_vip.push_back({"eth0", cidr("10.0.0.50/32")});
  CHECK(planner.set_interfaces(with_vip).empty());
  CHECK(planner.counters().entries_judged == before.entries_judged);
  CHECK(planner.counters().virtual_routers_planned == before.virtual_routers_planned);
  with_vip.push_back({"eth1", cidr("10.0.0.49/30")});
  CHECK(planner.set_interfaces(with_vip).vrrp_changed);
  CHECK(held(planner.plan()) == Lines{"10.0.0.50/32 dev eth1"});
}

}  // namespace
}  // namespace vipkeeper::plan
