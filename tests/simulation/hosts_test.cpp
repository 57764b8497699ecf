#include "tests/simulation/hosts.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <numeric>

// What must hold for hosts that fail: see hosts.h. A failure prints its seed; VIPKEEPER_SIMULATION_SEED=N repeats that
// one alone, VIPKEEPER_SCHEDULES=N tries N seeds instead of the usual number.
namespace vipkeeper::simulation {
namespace {

using namespace std::chrono_literals;

const TimePoint start{1h};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// What the sanitizers look for shows in few schedules, and each takes ten times as long.
constexpr std::uint64_t share = 40;
#else
constexpr std::uint64_t share = 1;
#endif

std::vector<std::uint64_t> seeds(std::uint64_t count) {
  count /= share;
  if (const char* one = std::getenv("VIPKEEPER_SIMULATION_SEED")) return {std::strtoull(one, nullptr, 10)};
  if (const char* number = std::getenv("VIPKEEPER_SCHEDULES")) count = std::strtoull(number, nullptr, 10);
  std::vector<std::uint64_t> result(count);
  std::iota(result.begin(), result.end(), 1);
  return result;
}

config::VirtualAddress address(const std::string& text) {
  config::VirtualAddress result;
  result.prefix = IpPrefix::parse(text).value();
  result.interface = "eth0";
  return result;
}

config::VrrpInstance instance(const std::string& name, std::uint8_t vrid, int priority,
                              const std::vector<std::string>& addresses) {
  config::VrrpInstance result;
  result.name = name;
  result.interface = "eth0";
  result.vrid = vrid;
  result.priority = static_cast<std::uint8_t>(priority);
  result.version = 3;
  result.advert_interval = 100ms;
  for (const auto& text : addresses) result.addresses.push_back(address(text));
  return result;
}

vrrp::Advertisement advert(std::uint8_t vrid, int priority, const std::string& listed, Duration interval = 100ms) {
  vrrp::Advertisement result;
  result.vrid = vrid;
  result.priority = static_cast<std::uint8_t>(priority);
  result.interval = interval;
  result.addresses = {IpAddress::parse(listed).value()};
  return result;
}

int between(Hosts& hosts, int low, int high) { return std::uniform_int_distribution<int>(low, high)(hosts.random()); }

// Two routers that share a pool of addresses, now the one's, now the other's.
std::vector<config::VrrpInstance> deal(HostNumber host, std::uint64_t generation, Duration interval) {
  std::vector<std::string> first, second;
  std::mt19937_64 same(generation);  // all hosts of a generation agree
  for (int i = 0; i < 5; ++i) {
    const auto text = "192.0.2." + std::to_string(100 + i) + "/32";
    const auto to = same() % 3;
    if (to == 0) first.push_back(text);
    if (to == 1) second.push_back(text);
  }
  first.push_back("192.0.2.90/32");
  second.push_back("192.0.2.91/32");
  const int rank = static_cast<int>(host);
  std::vector<config::VrrpInstance> result{instance("a", 50, 100 + 10 * rank, first),
                                           instance("b", 51, 130 - 10 * rank, second)};
  for (auto& one : result) one.advert_interval = interval;
  return result;
}

void disturb(Hosts& hosts, std::uint64_t& generation) {
  const auto host = static_cast<HostNumber>(between(hosts, 0, static_cast<int>(hosts.size()) - 1));
  auto& kernel = hosts.kernel(host);
  const auto own = "192.0.2." + std::to_string(host + 1) + "/24";
  switch (between(hosts, 0, 15)) {
    case 0:
      return kernel.set_link(2, "eth0", between(hosts, 0, 1) == 0);
    case 1:
      return kernel.take(2, own);
    case 2:
      return kernel.put(2, own);
    case 3:
    case 4: {
      const auto held = hosts.held(host);
      if (held.empty() || between(hosts, 0, 1) == 0) return;
      return kernel.take(2, *held.begin());
    }
    case 5:
      kernel.queue_limit = 1;
      return;
    case 6:
      kernel.queue_limit = 1'000'000;
      return;
    case 7: {
      const int percent = between(hosts, 0, 100);
      kernel.refuse = [&hosts, percent](const host::Operation&) -> std::optional<host::Answer> {
        if (between(hosts, 1, 100) > percent) return std::nullopt;
        return host::Answer{between(hosts, 0, 1) == 0 ? host::Outcome::refused : host::Outcome::unknown, "no memory"};
      };
      return;
    }
    case 8:
      kernel.cannot_read = between(hosts, 0, 1) == 0;
      return;
    case 9:
      return hosts.set_kernel_delays(std::chrono::milliseconds(between(hosts, 0, 400)),
                                     std::chrono::milliseconds(between(hosts, 0, 50)));
    case 10:
      return hosts.crash(host);
    case 11:
      return hosts.start(host);
    case 12:
      if (kernel.state().find_link(2) != nullptr) return kernel.remove_link(2);
      kernel.set_link(2, "eth0");
      return kernel.put(2, own);
    case 13:
      return kernel.set_link(2, "eth0", true, static_cast<std::byte>(between(hosts, 1, 9)));
    default:
      if (between(hosts, 0, 1) == 0) ++generation;
      return hosts.configure(host, deal(host, generation, 1s));
  }
}

// Everything works again.
void heal(Hosts& hosts, std::uint64_t generation) {
  hosts.set_kernel_delays(2ms, 2ms);
  for (HostNumber host = 0; host < hosts.size(); ++host) {
    auto& kernel = hosts.kernel(host);
    kernel.refuse = [](const host::Operation&) { return std::nullopt; };
    kernel.queue_limit = 1'000'000;
    kernel.cannot_read = false;
    kernel.set_link(2, "eth0", true);
    kernel.put(2, "192.0.2." + std::to_string(host + 1) + "/24");
    hosts.start(host);
    hosts.configure(host, deal(host, generation, 1s));
  }
}

}  // namespace

TEST_CASE("whatever fails on the hosts, at rest each has exactly the addresses that its Active Routers wish for",
          "[simulation][hosts][law]") {
  for (const std::uint64_t seed : seeds(20'000)) {
    INFO("seed " << seed);
    Hosts hosts(seed, start);
    hosts.set_packet_delay(1ms);
    const int count = between(hosts, 1, 3);
    std::uint64_t generation = seed * 1000;
    for (int i = 0; i < count; ++i) hosts.configure(hosts.add(), deal(static_cast<HostNumber>(i), generation, 1s));
    for (int i = between(hosts, 5, 20); i > 0; --i) {
      disturb(hosts, generation);
      hosts.run_for(std::chrono::milliseconds(between(hosts, 0, 1500)));
    }
    heal(hosts, generation);
    // What was slow is still on its way; backoffs of the kernel's refusals, of sockets, of giving way run out.
    hosts.run_for(45s);
    hosts.watch();
    hosts.run_for(2s);
    std::map<std::string, int> holders;
    for (HostNumber host = 0; host < hosts.size(); ++host) {
      INFO("host " << host);
      CHECK(hosts.held(host) == hosts.wished(host));
      CHECK(hosts.kernel(host).foreign_removed.empty());
      CHECK(hosts.kernel(host).record.size() == hosts.held(host).size());
      CHECK(hosts.station(host).problems().empty());
      for (const auto& text : hosts.held(host)) ++holders[text];
    }
    CHECK(holders["192.0.2.90/32"] == 1);
    CHECK(holders["192.0.2.91/32"] == 1);
    REQUIRE(hosts.longest_overlap() == 0s);
  }
}

TEST_CASE("while the network is whole nothing that a host suffers makes two holders for longer than an advertisement",
          "[simulation][hosts][law]") {
  for (const std::uint64_t seed : seeds(500)) {
    INFO("seed " << seed);
    Hosts hosts(seed, start);
    hosts.set_packet_delay(1ms);
    for (HostNumber i = 0; i < 3; ++i) hosts.configure(hosts.add(), deal(i, 1, 100ms));
    hosts.run_for(2s);
    hosts.watch();
    for (int i = 0; i < 30; ++i) {
      const auto host = static_cast<HostNumber>(between(hosts, 0, 2));
      auto& kernel = hosts.kernel(host);
      switch (between(hosts, 0, 4)) {
        case 0:
          kernel.queue_limit = between(hosts, 0, 1) == 0 ? 1 : 1'000'000;
          break;
        case 1:
          if (!hosts.held(host).empty()) kernel.take(2, *hosts.held(host).begin());
          break;
        case 2:
          hosts.set_kernel_delays(std::chrono::milliseconds(between(hosts, 0, 300)), 5ms);
          break;
        case 3:
          hosts.configure(host, deal(host, 1, 100ms));
          break;
        default:
          kernel.set_link(9, "veth" + std::to_string(i));
          kernel.remove_link(9);
      }
      hosts.run_for(std::chrono::milliseconds(between(hosts, 0, 200)));
    }
    REQUIRE(hosts.longest_overlap() <= 101ms);
  }
}

TEST_CASE("an address gone for less than an interval moves nothing", "[simulation][hosts][source]") {
  Hosts hosts(1, start);
  for (HostNumber i = 0; i < 2; ++i)
    hosts.configure(hosts.add(), {instance("a", 50, 100 + 50 * static_cast<int>(i), {"192.0.2.90/32"})});
  hosts.run_for(2s);
  REQUIRE(hosts.held(1).size() == 1);
  hosts.kernel(1).take(2, "192.0.2.2/24");
  hosts.run_for(90ms);
  hosts.kernel(1).put(2, "192.0.2.2/24");
  hosts.run_for(2s);
  CHECK(hosts.held(1).size() == 1);
  CHECK(hosts.station(1).agent(hosts.station(1).routers().front()).counters().released_master == 0);
}

TEST_CASE("a router whose source address goes for good says goodbye with priority 0", "[simulation][hosts][source]") {
  Hosts hosts(1, start);
  for (HostNumber i = 0; i < 2; ++i)
    hosts.configure(hosts.add(), {instance("a", 50, 100 + 50 * static_cast<int>(i), {"192.0.2.90/32"})});
  hosts.run_for(2s);
  hosts.kernel(1).take(2, "192.0.2.2/24");
  // An interval of patience, and the skew of the other.
  hosts.run_for(100ms + 65ms);
  CHECK(hosts.held(0).size() == 1);
  CHECK(hosts.held(1).empty());
  const auto& heard = hosts.station(0).agent(hosts.station(0).routers().front()).counters();
  CHECK(heard.priority_zero_received == 1);
  CHECK(hosts.station(1).problems().size() == 1);
  hosts.kernel(1).put(2, "192.0.2.2/24");
  hosts.run_for(2s);
  CHECK(hosts.held(1).size() == 1);
  CHECK(hosts.station(1).problems().empty());
}

TEST_CASE("an Active Router to which the kernel refuses every address gives way to one that can hold them",
          "[simulation][hosts][faults]") {
  Hosts hosts(1, start);
  for (HostNumber i = 0; i < 2; ++i) hosts.add();
  hosts.kernel(1).refuse = [](const host::Operation&) {
    return std::optional(host::Answer{host::Outcome::refused, "cannot add: Cannot allocate memory"});
  };
  for (HostNumber i = 0; i < 2; ++i) {
    hosts.configure(i, {instance("a", 50, 100 + 50 * static_cast<int>(i), {"192.0.2.90/32"})});
  }
  hosts.run_for(6s);
  CHECK(hosts.held(0).size() == 1);
  CHECK_FALSE(hosts.station(1).problems().empty());
  hosts.kernel(1).refuse = [](const host::Operation&) { return std::nullopt; };
  hosts.run_for(40s);
  CHECK(hosts.held(0).empty());
  CHECK(hosts.held(1).size() == 1);
  CHECK(hosts.station(1).problems().empty());
}

TEST_CASE("an answer that is lost makes no router give its addresses up", "[simulation][hosts][faults]") {
  Hosts hosts(1, start);
  for (HostNumber i = 0; i < 2; ++i) hosts.add();
  int lost = 1;
  hosts.kernel(1).queue_limit = 0;
  hosts.kernel(1).refuse = [&](const host::Operation&) -> std::optional<host::Answer> {
    if (lost-- <= 0) return std::nullopt;
    return host::Answer{host::Outcome::unknown, "no answer"};
  };
  for (HostNumber i = 0; i < 2; ++i) {
    hosts.configure(i, {instance("a", 50, 100 + 50 * static_cast<int>(i), {"192.0.2.90/32"})});
  }
  hosts.run_for(1s);
  hosts.kernel(1).queue_limit = 1000;
  hosts.run_for(20s);
  CHECK(hosts.held(1).size() == 1);
  CHECK(hosts.station(1).agent(hosts.station(1).routers().front()).counters().released_master == 0);
}

TEST_CASE("the host's only address, listed as a virtual one by mistake, is a source again when it is not",
          "[simulation][hosts][source]") {
  Hosts hosts(1, start);
  hosts.add();
  const auto a = instance("a", 50, 100, {"192.0.2.90/32"});
  hosts.configure(0, {a});
  hosts.run_for(2s);
  CHECK(hosts.held(0).size() == 1);
  hosts.configure(0, {a, instance("b", 51, 100, {"192.0.2.1/24"})});
  hosts.run_for(2s);
  CHECK(hosts.held(0).empty());
  CHECK(hosts.kernel(0).has(2, "192.0.2.1/24"));
  hosts.configure(0, {a});
  hosts.run_for(2s);
  CHECK(hosts.held(0).size() == 1);
}

TEST_CASE("alone with a kernel that refuses, a router goes on trying", "[simulation][hosts][faults]") {
  Hosts hosts(1, start);
  hosts.add();
  hosts.kernel(0).refuse = [](const host::Operation&) {
    return std::optional(host::Answer{host::Outcome::refused, "cannot add: Cannot allocate memory"});
  };
  hosts.configure(0, {instance("a", 50, 100, {"192.0.2.90/32"})});
  hosts.run_for(60s);
  CHECK(hosts.held(0).empty());
  hosts.kernel(0).refuse = [](const host::Operation&) { return std::nullopt; };
  hosts.run_for(40s);
  CHECK(hosts.held(0).size() == 1);
}

TEST_CASE("a socket that cannot be opened is tried again", "[simulation][hosts][faults]") {
  Hosts hosts(1, start);
  bool refuses = true;
  hosts.refuses_socket = [&](HostNumber) { return refuses; };
  hosts.configure(hosts.add(), {instance("a", 50, 100, {"192.0.2.90/32"})});
  hosts.run_for(5s);
  CHECK(hosts.held(0).empty());
  CHECK(hosts.station(0).problems().front().message.find("cannot join the group") != std::string::npos);
  refuses = false;
  hosts.run_for(40s);
  CHECK(hosts.held(0).size() == 1);
}

TEST_CASE("two installations with one VRID and no common address do not take each other's addresses, and both are told",
          "[simulation][hosts][strangers]") {
  Hosts hosts(1, start);
  hosts.configure(hosts.add(), {instance("ours", 50, 100, {"192.0.2.90/32"})});
  hosts.configure(hosts.add(), {instance("theirs", 50, 200, {"192.0.2.99/32"})});
  hosts.run_for(3s);
  CHECK(hosts.held(0) == std::set<std::string>{"192.0.2.90/32"});
  CHECK(hosts.held(1) == std::set<std::string>{"192.0.2.99/32"});
  for (const HostNumber host : {0U, 1U}) {
    REQUIRE(hosts.station(host).problems().size() == 1);
    CHECK(hosts.station(host).problems().front().message.find("virtual_router_id 50 on eth0 is also used by") == 0);
  }
  hosts.crash(1);
  hosts.run_for(60s);
  CHECK(hosts.station(0).problems().empty());
}

TEST_CASE("a thousand losing advertisements cost at most two announcements of each address and an answer an interval",
          "[simulation][hosts][bounds]") {
  Hosts hosts(1, start);
  std::vector<std::string> addresses;
  for (int i = 0; i < 100; ++i) addresses.push_back("192.0.2." + std::to_string(100 + i) + "/32");
  hosts.configure(hosts.add(), {instance("a", 50, 200, addresses)});
  hosts.run_for(20s);
  hosts.frames = hosts.announced = hosts.lines = 0;
  hosts.announced_of.clear();
  for (int i = 0; i < 1000; ++i) {
    hosts.inject(IpAddress::v4(0xc0000232), advert(50, 1 + i % 150, "192.0.2.100"));
    hosts.run_for(1ms);
  }
  for (const auto& [text, times] : hosts.announced_of) CHECK(times <= 2);
  CHECK(hosts.frames - hosts.announced <= 22);
  CHECK(hosts.lines < 30);
}

TEST_CASE("whatever a neighbour sends, frames and lines stay bounded and the addresses come back",
          "[simulation][hosts][bounds]") {
  for (const std::uint64_t seed : seeds(300)) {
    INFO("seed " << seed);
    Hosts hosts(seed, start);
    for (HostNumber i = 0; i < 2; ++i) {
      hosts.configure(hosts.add(), {instance("a", 50, 100 + 50 * static_cast<int>(i), {"192.0.2.90/32"})});
    }
    hosts.run_for(5s);
    hosts.frames = hosts.lines = 0;
    const auto begin = hosts.now();
    std::uint64_t packets = 0;
    const int kind = between(hosts, 0, 5);
    while (hosts.now() - begin < 60s) {
      const auto sender = IpAddress::v4(0xc0000200U + static_cast<unsigned>(between(hosts, 3, 250)));
      switch (kind) {
        case 0:  // takes over with the shortest interval, again and again
          hosts.inject(sender, advert(50, 254, "192.0.2.90", 10ms));
          break;
        case 1:  // priority 0 from whoever
          hosts.inject(sender, advert(50, 0, "192.0.2.90"));
          break;
        case 2:
          hosts.inject(sender, advert(50, between(hosts, 0, 255), "192.0.2.90",
                                      std::chrono::milliseconds(10 * between(hosts, 1, 4095))));
          break;
        case 3:  // strangers
          hosts.inject(sender,
                       advert(50, between(hosts, 0, 255), "192.0.2." + std::to_string(between(hosts, 91, 250))));
          break;
        case 4:  // through a router
          hosts.inject(sender, advert(50, 255, "192.0.2.90"), 64);
          break;
        default:  // our own, back again
          hosts.inject(IpAddress::v4(0xc0000202), advert(50, between(hosts, 0, 255), "192.0.2.90"));
      }
      ++packets;
      hosts.run_for(std::chrono::milliseconds(between(hosts, 5, 100)));
    }
    // Two hosts; what they send of themselves is ten frames a second.
    CHECK(hosts.frames <= 2 * 600 + 12 * packets);
    CHECK(hosts.lines < 2 * 30);
    // The longest interval that is believed is ten seconds.
    hosts.run_for(50s);
    CHECK(hosts.held(0).size() + hosts.held(1).size() == 1);
    if (kind == 1 || kind >= 3) {
      const auto& agent = hosts.station(1).agent(hosts.station(1).routers().front());
      CHECK(agent.counters().released_master == 0);
    }
    REQUIRE(hosts.longest_overlap() <= 220ms);
  }
}

TEST_CASE("a peer that was heard counts until it is silent, however the lists of peers differ for a while",
          "[simulation][hosts][unicast]") {
  const auto with_peers = [](HostNumber host, const std::vector<std::string>& peers) {
    auto result = instance("a", 50, 100 + 50 * static_cast<int>(host), {"192.0.2.90/32"});
    result.unicast = true;
    for (const auto& peer : peers) result.unicast_peers.push_back(IpAddress::parse(peer).value());
    return result;
  };
  Hosts hosts(1, start);
  for (int i = 0; i < 3; ++i) hosts.add();
  hosts.configure(0, {with_peers(0, {"192.0.2.2", "192.0.2.3"})});
  hosts.configure(1, {with_peers(1, {"192.0.2.1", "192.0.2.3"})});
  hosts.configure(2, {with_peers(2, {"192.0.2.1", "192.0.2.2"})});
  hosts.run_for(3s);
  REQUIRE(hosts.held(2).size() == 1);
  hosts.watch();
  // The Node of the holder is deleted; its process lives.
  hosts.configure(0, {with_peers(0, {"192.0.2.2"})});
  hosts.configure(1, {with_peers(1, {"192.0.2.1"})});
  hosts.run_for(10s);
  CHECK(hosts.held(2).size() == 1);
  CHECK(hosts.longest_overlap() == 0s);
  // And when it is gone the others go on without it.
  hosts.crash(2);
  hosts.run_for(3s);
  CHECK(hosts.held(1).size() == 1);
  CHECK(hosts.held(0).empty());
  // One that nobody knows yet, and that knows the others.
  hosts.watch();
  hosts.start(2);
  hosts.run_for(3s);
  CHECK(hosts.longest_overlap() <= 101ms);
  CHECK(hosts.held(2).size() + hosts.held(1).size() >= 1);
}

TEST_CASE("at the end priority 0 of all leaves before the first address goes, and nothing is left",
          "[simulation][hosts]") {
  Hosts hosts(1, start);
  hosts.add();
  std::vector<config::VrrpInstance> many;
  for (std::uint8_t i = 1; i <= 20; ++i)
    many.push_back(instance("r" + std::to_string(i), i, 100, {"192.0.2." + std::to_string(100 + i) + "/32"}));
  hosts.configure(0, many);
  hosts.run_for(3s);
  REQUIRE(hosts.held(0).size() == 20);
  hosts.set_kernel_delays(300ms, 1ms);
  hosts.frames = 0;
  hosts.shut_down(0);
  CHECK(hosts.frames == 20);
  CHECK(hosts.held(0).size() == 20);
  hosts.run_for(5s);
  CHECK(hosts.held(0).empty());
  CHECK(hosts.kernel(0).record.empty());
  CHECK(hosts.station(0).drained());
}

}  // namespace vipkeeper::simulation
