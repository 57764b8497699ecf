// What one entry can ask for has a bound, so that every other entry's change is planned as quickly as without it.

#include "controller/plan/forwarding.h"
#include "controller/plan/remarks.h"
#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

objects::Service twenty_ports() {
  std::vector<objects::ServicePort> ports;
  for (std::uint16_t i = 0; i < 20; ++i)
    ports.push_back(port(static_cast<std::uint16_t>(80 + i), 80, "p" + std::to_string(i)));
  return service(ports);
}

std::string addresses(unsigned count) {
  std::string text = "addresses: [";
  for (unsigned i = 0; i < count; ++i) {
    text += (i == 0 ? "203." : ",203.") + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".1";
  }
  return text + "]\n";
}

TEST_CASE("an entry that asks for more than it may is served within its bound, and says so in two problems",
          "[plan][rules][bounds]") {
  std::string text = addresses(2200) + "services:\n";
  for (int i = 0; i < 1400; ++i) text += "- {service: default/b}\n";
  REQUIRE(text.size() <= 65'536);
  auto planner =
      planner_with({is("default/b", twenty_ports()), is("default/b-1", slice("b", {on(80, "p0")}, {ready("10.9.0.5")})),
                    entries({{"abuse", text}, {"10.0.0.50", "default/b"}})});
  const auto& plan = planner.plan();
  CHECK(plan.vrrp->addresses.size() + plan.vrrp->excluded_addresses.size() == 2201);
  CHECK(plan.virtual_services.size() == 2200 + 20);
  const auto found = plan.problems.find("ConfigMap default/vips key abuse");
  REQUIRE(found != plan.problems.end());
  REQUIRE(found->second.size() == 2);
  CHECK(found->second[0].message ==
        "port p0 (80/tcp) of Service default/b is taken by an earlier one of the same entry: left out; choose between "
        "them with ports");
  CHECK(found->second[1].message ==
        "more than 4096 pairs of address and port: port p1 (81/tcp) of Service default/b and what follows is left out; "
        "name fewer addresses or ports, or write several entries");
  // Another entry's change is that entry's.
  const auto before = planner.counters();
  step(planner, entries({{"abuse", text}, {"10.0.0.50", ""}}));
  CHECK(planner.counters().entries_judged == before.entries_judged + 1);
  CHECK(planner.counters().forwardings_planned == before.forwardings_planned + 1);
}

TEST_CASE("the last pair within the bound is served, the first beyond it is not", "[plan][rules][bounds]") {
  const auto served = [](unsigned count, unsigned ports) {
    std::vector<objects::ServicePort> list;
    for (unsigned i = 0; i < ports; ++i) list.push_back(port(static_cast<std::uint16_t>(1 + i), 80));
    const auto planner = planner_with(
        {is("default/b", service(list)), entries({{"a", addresses(count) + "services: [{service: default/b}]"}})});
    return planner.plan().virtual_services.size();
  };
  CHECK(served(64, 64) == most_pairs);
  CHECK(served(64, 65) == most_pairs);
  CHECK(served(1, 5000) == most_pairs);
  CHECK(served(most_pairs, 1) == most_pairs);
  CHECK(served(most_pairs + 1, 1) == 0);
}

TEST_CASE("one Service twice is one problem, and so are many of its ports", "[plan][rules][bounds]") {
  const auto planner =
      planner_with({is("default/b", twenty_ports()), is("default/b-1", slice("b", {on(80, "p0")}, {ready("10.9.0.5")})),
                    is("default/c", service({port(80, 80)})),
                    entries({{"a",
                              "addresses: 10.0.0.50\nservices:\n- {service: default/b}\n- {service: default/b}\n"
                              "- {service: default/c}\n- {service: default/gone}\n- {service: default/gone}\n"}})});
  Lines errors;
  for (const auto& problem : problems(planner.plan())) {
    if (problem.starts_with("error ")) errors.push_back(problem.substr(problem.find(" a: ") + 4));
  }
  // Twenty with the ports that have no endpoint.
  CHECK(problems(planner.plan()).size() == Remarks::most);
  REQUIRE(errors.size() == 3);
  CHECK(errors[0].starts_with("Service default/gone does not exist"));
  CHECK(errors[1] ==
        "ports p0 (80/tcp), p1 (81/tcp), p10 (90/tcp), p11 (91/tcp), p12 (92/tcp), p13 (93/tcp), p14 (94/tcp), p15 "
        "(95/tcp) and 12 more of Service default/b are taken by an earlier one of the same entry: left out; choose "
        "between them with ports");
  CHECK(errors[2].starts_with("port 80/tcp of Service default/c is taken"));
}

TEST_CASE("clashes of thousands of ports with another entry are twenty remarks", "[plan][rules][bounds][clashes]") {
  const auto planner =
      planner_with({is("default/b", twenty_ports()),
                    entries({{"a", addresses(200) + "services: [{service: default/b, healthCheck: none}]"},
                             {"b", addresses(200) + "services: [{service: default/b, healthCheck: none}]"}})});
  CHECK(planner.plan().virtual_services.size() == 4000);
  const auto found = planner.plan().problems.find("ConfigMap default/vips key b");
  REQUIRE(found != planner.plan().problems.end());
  REQUIRE(found->second.size() == Remarks::most);
  CHECK(found->second.back().severity == Severity::error);
  CHECK(found->second.back().message ==
        "4001 more things are to be said of this entry: mend those that are said first");
}

TEST_CASE("remarks are kept once each, in order, up to a number, errors before warnings", "[plan][messages][bounds]") {
  Remarks remarks;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) remarks.add(Severity::warning, "remark " + std::to_string(i));
  }
  REQUIRE(remarks.list().size() == 20);
  CHECK(remarks.list().back() == Remark{Severity::warning, "remark 19"});
  CHECK_FALSE(remarks.full_of_errors());
  remarks.add(Severity::error, "a fault");
  const auto list = remarks.list();
  REQUIRE(list.size() == 20);
  CHECK(list[17] == Remark{Severity::warning, "remark 17"});
  CHECK(list[18] == Remark{Severity::error, "a fault"});
  CHECK(list[19] ==
        Remark{Severity::warning, "2 more things are to be said of this entry: mend those that are said first"});
  Remarks all;
  all.add(Severity::warning, "before");
  all.add(remarks);
  CHECK(all.list().size() == 20);
  CHECK(all.list()[0].message == "before");
  CHECK(all.list()[18].message == "a fault");
  CHECK(all.list()[19] ==
        Remark{Severity::warning, "3 more things are to be said of this entry: mend those that are said first"});
  Remarks faults;
  for (int i = 0; i < 22; ++i) faults.add(Severity::error, "fault " + std::to_string(i));
  CHECK(faults.full_of_errors());
  CHECK(faults.list()[18].message == "fault 18");
  CHECK(faults.list()[19].severity == Severity::error);
}

}  // namespace
}  // namespace vipkeeper::plan
