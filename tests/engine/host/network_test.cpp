#include "engine/host/network.h"

#include <catch2/catch.hpp>

#include "engine/host/mirror.h"
#include "tests/engine/host/fake_host.h"

using namespace vipkeeper;
using namespace vipkeeper::host;
using namespace vipkeeper::host::test;

namespace {

// A mirror that follows a host as the loop makes it.
struct Follower {
  FakeHost host;
  Mirror mirror{NetworkState()};

  Follower() {
    host.set_link(2, "eth0");
    host.put(2, "192.0.2.11/24");
    follow();
  }
  void follow() {
    const auto said = host.changes();
    if (said) {
      mirror.apply(*said);
    } else {
      const auto number = mirror.begin_reading();
      CHECK(mirror.finish_reading(number, *host.read()));
    }
  }
  bool agrees() const { return difference(mirror.state(), host.state()).empty(); }
};

}  // namespace

TEST_CASE("a link is found by name and by index, also after it was renamed", "[host][network]") {
  FakeHost host;
  host.set_link(2, "eth0");
  host.set_link(3, "eth1");
  host.set_link(2, "lan");
  CHECK(host.state().find_link("eth0") == nullptr);
  REQUIRE(host.state().find_link("lan") != nullptr);
  CHECK(host.state().find_link("lan")->index == 2);
  CHECK(host.state().find_link(3)->name == "eth1");
  host.set_link(3, "eth0");
  CHECK(host.state().find_link("eth0")->index == 3);
  host.remove_link(3);
  CHECK(host.state().find_link("eth0") == nullptr);
}

TEST_CASE("a link that goes takes its addresses with it", "[host][network]") {
  FakeHost host;
  host.set_link(2, "eth0");
  host.put(2, "10.0.0.1/24");
  NetworkState state = host.state();
  NetworkChanges changes;
  state.apply(LinkGone{2}, changes);
  CHECK(state.addresses().empty());
  CHECK(changes.removed.size() == 1);
  CHECK(changes.links.size() == 1);
}

TEST_CASE("the address that came first is first, however the kernel repeats itself", "[host][network]") {
  FakeHost host;
  host.set_link(2, "eth0");
  host.put(2, "10.0.0.9/24");
  host.put(2, "10.0.0.1/24");
  host.put(2, "10.0.0.9/24", 5);
  CHECK(host.state().find_address({2, prefix("10.0.0.9/24")})->order <
        host.state().find_address({2, prefix("10.0.0.1/24")})->order);
}

TEST_CASE("after an overflow nothing older than the reading is believed", "[host][mirror][enobufs]") {
  Follower one;
  one.host.queue_limit = 20;
  // What is queued before the loss says that addresses are there which are gone by the time of the reading.
  for (int i = 0; i < 200; ++i) one.host.put(2, "10.0.1." + std::to_string(i) + "/32");
  for (int i = 0; i < 200; ++i) one.host.take(2, "10.0.1." + std::to_string(i) + "/32");
  one.host.set_link(2, "eth0", false);
  one.host.set_link(2, "eth0", true);
  one.host.put(2, "10.0.2.1/32");
  one.follow();
  CHECK(one.agrees());
  CHECK(one.mirror.state().addresses().size() == 2);
  one.follow();
  CHECK(one.agrees());
}

TEST_CASE("what is said during a reading stands over it", "[host][mirror][enobufs]") {
  Follower one;
  const auto number = one.mirror.begin_reading();
  const NetworkState early = one.host.state();
  one.host.put(2, "10.0.0.5/32");
  one.host.take(2, "192.0.2.11/24");
  one.follow();
  REQUIRE(one.mirror.finish_reading(number, early));
  CHECK(one.agrees());
}

TEST_CASE("a reading that another one followed is passed over", "[host][mirror]") {
  Follower one;
  const auto old = one.mirror.begin_reading();
  const NetworkState stale = one.host.state();
  one.host.put(2, "10.0.0.5/32");
  const auto number = one.mirror.begin_reading();
  CHECK_FALSE(one.mirror.finish_reading(old, stale));
  CHECK(one.mirror.reading());
  REQUIRE(one.mirror.finish_reading(number, one.host.state()));
  CHECK(one.agrees());
  CHECK_FALSE(one.mirror.reading());
}

TEST_CASE("a reading that fails leaves what was known", "[host][mirror]") {
  Follower one;
  const auto number = one.mirror.begin_reading();
  one.mirror.give_up_reading(number);
  CHECK_FALSE(one.mirror.reading());
  CHECK(one.mirror.state().find_link("eth0") != nullptr);
}
