#include "engine/run/vrrp_addresses.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace vipkeeper;
using namespace vipkeeper::run;
using Kind = net::AddressOperation::Kind;

namespace {

// A kernel in miniature: what operations do to a NetworkState, and every announcement in order.
struct Host {
  net::NetworkState network;
  std::vector<std::string> operations, announced;
  std::set<std::string> refused;

  Host() { add_link(2, "eth0"); }
  void add_link(int index, const std::string& name) {
    network.links[index] = {.index = index, .name = name, .up = true, .running = true, .mac = {}};
  }
  void put(int index, const std::string& prefix) {
    const auto parsed = *IpPrefix::parse(prefix);
    network.addresses[{index, parsed}] = {.index = index, .interface = {}, .prefix = parsed};
  }
  void take(int index, const std::string& prefix) { network.addresses.erase({index, *IpPrefix::parse(prefix)}); }

  void step(HeldAddresses& held, std::size_t budget) {
    for (const auto& operation : held.next_operations(budget, network)) {
      const auto text = operation.prefix.to_string();
      operations.push_back((operation.kind == Kind::add ? "+" : "-") + text);
      if (refused.contains(text)) {
        held.failed(operation);
      } else if (operation.kind == Kind::add) {
        put(operation.link_index, text);
      } else {
        take(operation.link_index, text);
      }
    }
    for (const auto& [link, addresses] : held.next_announcements(budget)) {
      for (const auto& address : addresses) announced.push_back(address.to_string());
    }
  }
  void work(HeldAddresses& held, std::size_t budget = 100) {
    for (int i = 0; i < 1000 && !held.idle(); ++i) step(held, budget);
    REQUIRE(held.idle());
  }
  void clear() {
    operations.clear();
    announced.clear();
  }
};

config::VirtualAddress address(const std::string& prefix, const std::string& interface = "eth0") {
  config::VirtualAddress result;
  result.prefix = *IpPrefix::parse(prefix);
  result.interface = interface;
  return result;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("holding adds every address once and announces it as often as asked", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("10.0.0.1/32"), address("10.0.0.2/24")}, false, host.network);
  CHECK(held.idle());
  held.hold();
  held.announce(2);
  host.work(held);
  CHECK(host.operations == Texts{"+10.0.0.1/32", "+10.0.0.2/24"});
  CHECK(host.announced == Texts{"10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"});
  host.clear();
  held.hold();
  host.work(held);
  CHECK(host.operations.empty());
}

TEST_CASE("the first address is announced before the last is added", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  std::vector<config::VirtualAddress> many;
  for (int i = 1; i <= 200; ++i) many.push_back(address("10.1.0." + std::to_string(i) + "/32"));
  held.configure(many, false, host.network);
  held.hold();
  held.announce(5);
  host.step(held, 10);
  CHECK(host.operations.size() == 10);
  CHECK(host.announced.size() == 10);
  CHECK(host.announced.front() == "10.1.0.1");
  host.work(held, 10);
  CHECK(host.operations.size() == 200);
  CHECK(host.announced.size() == 1000);
}

TEST_CASE("releasing removes in reverse order what was added", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("10.0.0.1/24"), address("10.0.0.2/24")}, false, host.network);
  held.hold();
  host.work(held);
  host.clear();
  CHECK(held.release(host.network).empty());
  host.work(held);
  CHECK(host.operations == Texts{"-10.0.0.2/24", "-10.0.0.1/24"});
  CHECK(host.announced.empty());
  CHECK(host.network.addresses.empty());
}

TEST_CASE("a router that lets go in the middle of adding ends with nothing", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  std::vector<config::VirtualAddress> many;
  for (int i = 1; i <= 50; ++i) many.push_back(address("10.1.0." + std::to_string(i) + "/32"));
  held.configure(many, false, host.network);
  held.hold();
  held.announce(5);
  host.step(held, 7);
  held.release(host.network);
  host.step(held, 3);
  held.hold();
  held.announce(1);
  host.step(held, 5);
  held.release(host.network);
  host.work(held, 4);
  CHECK(host.network.addresses.empty());
}

TEST_CASE("a change while holding touches only the difference and announces only the new", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("10.0.0.1/32"), address("10.0.0.2/32")}, false, host.network);
  held.hold();
  held.announce(3);
  host.work(held);
  host.clear();
  held.configure({address("10.0.0.3/32"), address("10.0.0.2/32")}, false, host.network);
  host.work(held);
  CHECK(host.operations == Texts{"-10.0.0.1/32", "+10.0.0.3/32"});
  CHECK(host.announced == Texts{"10.0.0.3", "10.0.0.3", "10.0.0.3"});
  host.clear();
  held.configure({address("10.0.0.2/32"), address("10.0.0.3/32")}, false, host.network);
  host.work(held);
  CHECK(host.operations.empty());
  CHECK(host.announced.empty());
}

TEST_CASE("a changed label or scope means removing and adding", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  auto labelled = address("10.0.0.1/32");
  held.configure({labelled}, false, host.network);
  held.hold();
  host.work(held);
  host.clear();
  labelled.label = "eth0:vip";
  held.configure({labelled}, false, host.network);
  host.work(held);
  CHECK(host.operations == Texts{"-10.0.0.1/32", "+10.0.0.1/32"});
}

TEST_CASE("an address that somebody removes is put back and announced", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("10.0.0.1/32"), address("10.0.0.2/32")}, false, host.network);
  held.hold();
  host.work(held);
  host.clear();
  CHECK(held.network_changed(host.network, 2).empty());
  CHECK(held.idle());
  host.take(2, "10.0.0.1/32");
  const auto taken = held.network_changed(host.network, 2);
  REQUIRE(taken.size() == 1);
  CHECK(taken.front().prefix.to_string() == "10.0.0.1/32");
  host.work(held);
  CHECK(host.operations == Texts{"+10.0.0.1/32"});
  CHECK(host.announced == Texts{"10.0.0.1", "10.0.0.1"});
}

TEST_CASE("an IPv6 address that the kernel has not told of yet was not taken away", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("2001:db8::1/128")}, false, host.network);
  held.hold();
  for (const auto& operation : held.next_operations(10, host.network)) CHECK(operation.prefix.length == 128);
  CHECK(held.network_changed(host.network, 1).empty());
  host.put(2, "2001:db8::1/128");
  CHECK(held.network_changed(host.network, 1).empty());
  host.take(2, "2001:db8::1/128");
  CHECK(held.network_changed(host.network, 1).size() == 1);
}

TEST_CASE("an address waits for its interface", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("10.0.0.1/32"), address("10.0.0.2/32", "eth1")}, false, host.network);
  held.hold();
  held.announce(1);
  host.work(held);
  CHECK(host.operations == Texts{"+10.0.0.1/32"});
  CHECK(host.announced == Texts{"10.0.0.1"});
  host.clear();
  host.add_link(3, "eth1");
  CHECK(held.network_changed(host.network, 1).empty());
  host.work(held);
  CHECK(host.operations == Texts{"+10.0.0.2/32"});
  CHECK(host.announced == Texts{"10.0.0.2"});
}

TEST_CASE("an interface that is made anew gets its addresses again", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  held.configure({address("10.0.0.1/32")}, false, host.network);
  held.hold();
  host.work(held);
  host.clear();
  host.network.links.erase(2);
  host.network.addresses.clear();
  CHECK(held.network_changed(host.network, 1).empty());
  CHECK(held.idle());
  host.add_link(9, "eth0");
  held.network_changed(host.network, 1);
  host.work(held);
  CHECK(host.operations == Texts{"+10.0.0.1/32"});
  CHECK(host.network.has_address(9, *IpPrefix::parse("10.0.0.1/32")));
}

TEST_CASE("an address that the kernel refuses is not announced, and tried again later", "[run][vrrp][addresses]") {
  Host host;
  HeldAddresses held;
  host.refused = {"10.0.0.1/32"};
  held.configure({address("10.0.0.1/32"), address("10.0.0.2/32")}, false, host.network);
  held.hold();
  held.announce(1);
  host.work(held);
  CHECK(host.announced == Texts{"10.0.0.2"});
  host.refused.clear();
  host.clear();
  held.network_changed(host.network, 1);
  host.work(held);
  CHECK(host.operations == Texts{"+10.0.0.1/32"});
}

TEST_CASE("a router that starts removes what a predecessor left", "[run][vrrp][addresses]") {
  Host host;
  host.put(2, "10.0.0.1/32");
  host.put(2, "10.0.0.9/24");
  HeldAddresses held;
  held.configure({address("10.0.0.1/32"), address("10.0.0.2/32")}, false, host.network);
  const auto found = held.release(host.network);
  REQUIRE(found.size() == 1);
  CHECK(found.front() == address("10.0.0.1/32"));
  host.work(held);
  CHECK(host.operations == Texts{"-10.0.0.1/32"});
}

TEST_CASE("an owner never removes the host's own address", "[run][vrrp][addresses]") {
  Host host;
  host.put(2, "10.0.0.1/24");
  HeldAddresses held;
  held.configure({address("10.0.0.1/24"), address("10.0.0.2/32")}, true, host.network);
  held.release(host.network);
  CHECK(held.idle());
  held.hold();
  host.work(held);
  host.clear();
  held.release(host.network);
  host.work(held);
  CHECK(host.operations == Texts{"-10.0.0.2/32"});
  CHECK(host.network.has_address(2, *IpPrefix::parse("10.0.0.1/24")));
}
