#include "engine/return_path/rules.h"

#include <catch2/catch.hpp>
#include <random>

namespace vipkeeper::return_path {
namespace {

ServicePort web(std::uint16_t port) { return {IpAddress::v4(0xc0000232), Protocol::tcp, port}; }
IpPrefix network(std::uint32_t third) { return {IpAddress::v4(0x0a020000 | (third << 8U)), 24}; }

FamilyRules random_rules(std::mt19937& random) {
  FamilyRules rules;
  rules.scaffold = static_cast<Scaffold>(random() % 3);
  if (rules.scaffold == Scaffold::absent) return rules;
  for (auto i = random() % 6; i > 0; --i)
    rules.services[web(static_cast<std::uint16_t>(80 + random() % 8))] = static_cast<Masquerade>(random() % 2);
  for (auto i = random() % 3; i > 0; --i) rules.near.insert(network(static_cast<std::uint32_t>(random() % 4)));
  return rules;
}

FamilyRules desirable(FamilyRules rules) {
  if (rules.scaffold == Scaffold::other) rules.scaffold = Scaffold::right;
  return rules;
}

TEST_CASE("a plan turns whatever is there into what is desired, and then is empty", "[masquerade][planner-law]") {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    CAPTURE(round);
    const FamilyRules actual = random_rules(random), desired = desirable(random_rules(random));
    const FamilyRules after = return_path::apply(actual, plan(actual, desired));
    REQUIRE(after == desired);
    REQUIRE(plan(after, desired).empty());
  }
}

TEST_CASE("a plan of what changed is the plan of everything", "[masquerade][planner-law]") {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    CAPTURE(round);
    FamilyRules actual = random_rules(random), desired = random_rules(random);
    actual.scaffold = desired.scaffold = Scaffold::right;
    std::set<ServicePort> changed;
    for (const auto& [service, masquerade] : actual.services) changed.insert(service);
    for (const auto& [service, masquerade] : desired.services) changed.insert(service);
    REQUIRE(return_path::apply(actual, plan(actual, desired, changed)) == desired);
  }
}

TEST_CASE("one virtual service more is one element", "[masquerade][planner-law]") {
  FamilyRules actual{Scaffold::right, {}, {network(1)}};
  for (std::uint16_t port = 1; port <= 5000; ++port) actual.services[web(port)] = Masquerade::automatic;
  FamilyRules desired = actual;
  desired.services[web(5001)] = Masquerade::always;
  CHECK(plan(actual, desired) == std::vector<Operation>{AddService{web(5001), Masquerade::always}});
}

TEST_CASE("what goes, goes before what comes: an element is in one set at a time", "[masquerade][planner-law]") {
  const FamilyRules actual{Scaffold::right, {{web(80), Masquerade::automatic}}, {{IpAddress::v4(0x0a020000), 24}}};
  const FamilyRules desired{Scaffold::right, {{web(80), Masquerade::always}}, {{IpAddress::v4(0x0a020000), 16}}};
  CHECK(plan(actual, desired) == std::vector<Operation>{DeleteService{web(80), Masquerade::automatic},
                                                        DeleteNear{{IpAddress::v4(0x0a020000), 24}},
                                                        AddService{web(80), Masquerade::always},
                                                        AddNear{{IpAddress::v4(0x0a020000), 16}}});
}

TEST_CASE("operations are told in words that name the virtual service", "[masquerade]") {
  CHECK(to_string(Family::ipv4, AddService{web(80), Masquerade::automatic}) == "masquerade auto for tcp 192.0.2.50:80");
  const ServicePort dns{*IpAddress::parse("2001:db8::1"), Protocol::udp, 53};
  CHECK(to_string(Family::ipv6, DeleteService{dns, Masquerade::always}) ==
        "end masquerade always for udp [2001:db8::1]:53");
  CHECK(to_string(Family::ipv6, MakeScaffold{}) == "make the ipv6 masquerading rules");
  CHECK(to_string(Family::ipv4, RemoveScaffold{}) == "remove the ipv4 masquerading rules");
  CHECK(to_string(Family::ipv4, AddNear{network(1)}) == "do not masquerade towards 10.2.1.0/24");
  CHECK(to_string(Family::ipv4, DeleteNear{network(1)}) == "masquerade towards 10.2.1.0/24");
}

}  // namespace
}  // namespace vipkeeper::return_path
