#include "engine/run/services/return_path.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/engine/return_path/fake_rules.h"
#include "tests/engine/run/programming_servers.h"

namespace vipkeeper::run {
namespace {

using namespace std::chrono_literals;
using namespace test;
using namespace return_path;

const Error unsupported{ErrorCode::unsupported, "nftables: Operation not supported"};
const Error busy{ErrorCode::io, "iptables-legacy-restore: Resource temporarily unavailable"};

config::VirtualServer nat(std::uint16_t port, unsigned real_servers = 1) {
  config::VirtualServer result = server(port, real_servers);
  result.masquerade = config::Masquerade::automatic;
  return result;
}

// The program's rules on fake packet filters and virtual time.
struct Bench {
  FakeRules::State best, second;
  std::vector<std::string> lines;
  Result<std::vector<AttachedNetwork>> networks = std::vector<AttachedNetwork>{};
  std::vector<ServicePort> forgotten;
  TimePoint now{1000h};
  std::unique_ptr<ReturnPath> path;

  Bench() { restart(); }
  void restart() {
    ReturnPathDoors doors;
    doors.ways.push_back(std::make_unique<FakeRules>("nftables", best));
    doors.ways.push_back(std::make_unique<FakeRules>("iptables", second));
    doors.read_networks = [this] { return networks; };
    doors.forget_flows = [this](std::span<const ServicePort> services) -> Result<void> {
      forgotten.insert(forgotten.end(), services.begin(), services.end());
      return {};
    };
    path = std::make_unique<ReturnPath>(std::move(doors),
                                        [this](LogLevel, const std::string& line) { lines.push_back(line); });
    // As a new process does not know what the old one's looked like.
    for (FakeRules::State* state : {&best, &second})
      for (auto& [family, rules] : state->rules)
        if (rules.scaffold != Scaffold::absent) rules.scaffold = Scaffold::other;
  }
  void apply(const std::vector<config::VirtualServer>& servers) { tell(delta_of(servers)); }
  void tell(const VirtualServers& delta) {
    path->apply(delta, true);
    path->turn(now);
  }
  void pass(Duration time) {
    const TimePoint end = now + time;
    while (path->next_deadline() && *path->next_deadline() <= end) {
      now = std::max(now, *path->next_deadline());
      path->turn(now);
    }
    now = end;
  }
  FamilyRules& v4() { return best.rules[Family::ipv4]; }
  [[nodiscard]] std::string problem() const { return path->problems().empty() ? "" : path->problems().front().message; }
};

ServicePort service(std::uint16_t port) { return {IpAddress::v4(0xc000020a), Protocol::tcp, port}; }

TEST_CASE("each NAT virtual service that asks for it is masqueraded, no other", "[masquerade]") {
  Bench bench;
  auto always = nat(81);
  always.masquerade = config::Masquerade::always;
  auto direct = nat(82);
  direct.real_servers[0].method = config::ForwardingMethod::direct;
  auto marked = nat(0);
  marked.key.fwmark = 7;
  auto without_real_servers = nat(83, 0);
  bench.apply({nat(80), always, direct, marked, without_real_servers, server(84)});
  CHECK(bench.v4() == FamilyRules{Scaffold::right,
                                  {{service(80), Masquerade::automatic},
                                   {service(81), Masquerade::always},
                                   {service(83), Masquerade::automatic}},
                                  {}});
  CHECK(bench.best.rules[Family::ipv6] == FamilyRules{});
  CHECK(bench.path->settled());
}

TEST_CASE("nothing is done before everything desired was told", "[masquerade]") {
  Bench bench;
  bench.path->apply(delta_of({nat(80)}), false);
  bench.path->turn(bench.now);
  CHECK(bench.best.reads + bench.best.applies + bench.second.reads + bench.second.applies == 0);
  CHECK_FALSE(bench.path->settled());
}

TEST_CASE("a real server's change touches no rule and reads nothing", "[masquerade]") {
  Bench bench;
  bench.networks = std::vector<AttachedNetwork>{{*IpPrefix::parse("10.0.0.0/24"), 5, false}};
  auto web = nat(80, 3);
  web.real_servers[0].on_this_node = web.real_servers[1].on_this_node = true;
  web.real_servers.pop_back();
  bench.apply({web});
  CHECK(bench.v4().near == std::set<IpPrefix>{*IpPrefix::parse("10.0.0.0/24")});
  const auto applies = bench.best.applies, reads = bench.best.reads;
  for (int change = 0; change < 4; ++change) {
    web.real_servers[1].weight = change % 2;
    bench.apply({web});
    auto fewer = web;
    fewer.real_servers.pop_back();
    bench.apply({fewer});
  }
  CHECK(bench.best.applies == applies);
  CHECK(bench.best.reads == reads);
}

TEST_CASE("one virtual service more is one element, and leaves with its last word", "[masquerade]") {
  Bench bench;
  bench.apply({nat(80)});
  bench.best.operations.clear();
  bench.apply({nat(81)});
  CHECK(bench.best.operations == std::vector<Operation>{AddService{service(81), Masquerade::automatic}});
  bench.best.operations.clear();
  auto never = nat(81);
  never.masquerade = config::Masquerade::never;
  bench.apply({never});
  CHECK(bench.best.operations == std::vector<Operation>{DeleteService{service(81), Masquerade::automatic}});
  bench.tell({{nat(80).key, nullptr}, {never.key, nullptr}});
  CHECK(bench.v4() == FamilyRules{});
  CHECK_FALSE(bench.path->has_rules());
}

TEST_CASE("a kernel without nftables is served by iptables, one with neither says what it lacks", "[masquerade]") {
  Bench bench;
  bench.best.apply_error = unsupported;
  bench.apply({nat(80)});
  CHECK(bench.second.rules[Family::ipv4].services.size() == 1);
  CHECK(bench.path->status().way == "iptables");
  CHECK(bench.problem().empty());

  Bench poor;
  poor.best.apply_error = unsupported;
  poor.second.apply_error = Error{ErrorCode::unsupported, "there is no iptables-legacy-restore here"};
  poor.apply({nat(80)});
  CHECK(poor.problem() == "there is no iptables-legacy-restore here; nftables: Operation not supported");
  CHECK(poor.path->settled());
  CHECK(poor.path->status().way.empty());
  poor.best.apply_error.reset();
  poor.pass(31s);
  CHECK(poor.path->status().way == "nftables");
  CHECK(poor.problem().empty());
}

TEST_CASE("after any failure the rules are read, planned and made again until they are right", "[masquerade]") {
  for (std::size_t done = 0; done < 4; ++done) {
    for (const bool reading_fails : {false, true}) {
      CAPTURE(done, reading_fails);
      Bench bench;
      bench.apply({nat(80)});
      (reading_fails ? bench.best.read_error : bench.best.apply_error) = busy;
      bench.best.apply_error = busy;
      bench.best.done_before_error = done;
      bench.apply({nat(81), nat(82), nat(83)});
      bench.pass(5s);
      CHECK(bench.problem() == busy.message);
      bench.best.read_error.reset();
      bench.best.apply_error.reset();
      bench.pass(31s);
      CHECK(bench.v4().services.size() == 4);
      CHECK(bench.v4().scaffold == Scaffold::right);
      CHECK(bench.problem().empty());
    }
  }
}

TEST_CASE("rules that somebody flushed are put right at the next look", "[masquerade]") {
  Bench bench;
  bench.apply({nat(80), nat(81)});
  const FamilyRules good = bench.v4();
  SECTION("all of them") { bench.v4() = FamilyRules{}; }
  SECTION("an element") { bench.v4().services.erase(service(80)); }
  SECTION("a chain") { bench.v4().scaffold = Scaffold::other; }
  SECTION("one too many") { bench.v4().services[service(9)] = Masquerade::always; }
  bench.best.disturbed = true;
  bench.path->look();
  REQUIRE(bench.path->next_deadline());
  CHECK(*bench.path->next_deadline() <= bench.now);
  bench.path->turn(bench.now);
  CHECK(bench.v4() == good);
  CHECK(bench.path->problems().empty());
}

TEST_CASE("what nobody tells of is found by the audit", "[masquerade]") {
  Bench bench;
  bench.apply({nat(80)});
  bench.v4() = FamilyRules{};
  bench.pass(ReturnPath::audit_interval);
  CHECK(bench.v4().services.size() == 1);
}

TEST_CASE("rules of a run that was killed are taken over, those it made another way are removed", "[masquerade]") {
  Bench bench;
  bench.apply({nat(80)});
  bench.second.rules[Family::ipv4] = FamilyRules{Scaffold::right, {{service(9), Masquerade::always}}, {}};
  bench.restart();
  bench.apply({nat(80), nat(81)});
  CHECK(bench.v4().services.size() == 2);
  CHECK(bench.v4().scaffold == Scaffold::right);
  CHECK(bench.second.rules[Family::ipv4] == FamilyRules{});
  bench.restart();
  bench.apply({});
  CHECK(bench.v4() == FamilyRules{});
}

TEST_CASE("the end takes the rules away, also those that nobody has asked for yet", "[masquerade]") {
  Bench bench;
  bench.apply({nat(80)});
  bench.path->remove_all();
  CHECK(bench.v4() == FamilyRules{});
}

TEST_CASE("networks that cannot be read are not none", "[masquerade]") {
  Bench bench;
  const std::set<IpPrefix> pods{*IpPrefix::parse("10.0.0.0/24")};
  bench.networks = std::vector<AttachedNetwork>{{*pods.begin(), 5, false}};
  auto web = nat(80);
  web.real_servers[0].on_this_node = true;
  bench.apply({web});
  CHECK(bench.v4().near == pods);
  bench.networks = std::unexpected(Error{ErrorCode::io, "netlink: receive"});
  bench.pass(40s);
  CHECK(bench.v4().near == pods);
  // A real server elsewhere in the same network: a reply may miss this node after all.
  auto other = nat(81, 2);
  other.real_servers.erase(other.real_servers.begin());
  bench.apply({other});
  CHECK(bench.v4().near.empty());
}

TEST_CASE("a network goes with the last real server of this node in it", "[masquerade]") {
  Bench bench;
  bench.networks = std::vector<AttachedNetwork>{{*IpPrefix::parse("10.0.0.0/24"), 5, false}};
  auto web = nat(80, 2);
  web.real_servers[0].on_this_node = web.real_servers[1].on_this_node = true;
  bench.apply({web});
  web.real_servers.pop_back();
  bench.apply({web});
  CHECK(bench.v4().near.size() == 1);
  web.real_servers.clear();
  bench.apply({web});
  CHECK(bench.v4().near.empty());
}

TEST_CASE("a network that comes after its first real server is found", "[masquerade]") {
  Bench bench;
  auto web = nat(80);
  web.real_servers[0].on_this_node = true;
  bench.apply({web});
  CHECK(bench.v4().near.empty());
  bench.networks = std::vector<AttachedNetwork>{{*IpPrefix::parse("10.0.0.0/24"), 5, false}};
  bench.pass(6s);
  CHECK(bench.v4().near.size() == 1);
}

TEST_CASE("UDP flows to a virtual service that comes are forgotten, those to one that stays are not", "[masquerade]") {
  Bench bench;
  auto dns = nat(53);
  dns.key.protocol = Protocol::udp;
  bench.apply({nat(80), dns});
  CHECK(bench.forgotten == std::vector{ServicePort{IpAddress::v4(0xc000020a), Protocol::udp, 53}});
  bench.forgotten.clear();
  bench.apply({dns, nat(81)});
  bench.restart();
  bench.apply({nat(80), dns});
  CHECK(bench.forgotten.empty());
  bench.tell({{dns.key, nullptr}});
  bench.apply({dns});
  CHECK(bench.forgotten.size() == 1);
}

}  // namespace
}  // namespace vipkeeper::run
