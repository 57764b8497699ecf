#include "engine/router/hearing.h"

#include <catch2/catch.hpp>
#include <string>

using namespace vipkeeper;
using namespace vipkeeper::router;
using namespace std::chrono_literals;

namespace {

const TimePoint start{1000s};

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }

struct Heard {
  config::VrrpInstance instance;
  Hearing hearing;
  AgentCounters counters;
  TimePoint now = start;
  std::optional<IpAddress> followed;

  explicit Heard(std::vector<std::string> peers = {}, bool unicast = false) {
    instance.name = "vips";
    instance.interface = "eth0";
    instance.vrid = 50;
    instance.version = 3;
    instance.unicast = unicast || !peers.empty();
    for (const auto& peer : peers) instance.unicast_peers.push_back(ip(peer));
    configure();
    hearing.see({*IpPrefix::parse("10.0.0.2/24")});
  }
  void configure() { hearing.configure(now, instance, {ip("10.0.0.50"), ip("10.0.0.51")}); }
  void offer(const std::string& sender, int priority, std::vector<std::string> addresses = {"10.0.0.50", "10.0.0.51"},
             std::uint8_t hop_limit = 255) {
    vrrp::Advertisement advertisement;
    advertisement.vrid = 50;
    advertisement.priority = static_cast<std::uint8_t>(priority);
    advertisement.interval = 1s;
    for (const auto& text : addresses) advertisement.addresses.push_back(ip(text));
    const IpAddress destination = instance.unicast ? ip("10.0.0.2") : instance.multicast_group;
    const auto payload = vrrp::serialize_advertisement(advertisement, ip(sender), destination, false);
    hearing.offer({ip(sender), destination, hop_limit, payload}, ip("10.0.0.2"), followed, counters);
  }
  Hearing::Taken take() { return hearing.take(now); }
  std::uint64_t discarded(vrrp::DropReason reason) const {
    return counters.discarded.at(static_cast<std::size_t>(reason));
  }
};

}  // namespace

TEST_CASE("of a turn's packets the one that ranks highest is handed on, in its sender's newest form",
          "[router][bounds]") {
  Heard one;
  for (int i = 0; i < 500; ++i) one.offer("10.0.0." + std::to_string(100 + i % 100), 1 + i % 200);
  one.offer("10.0.0.9", 250);
  one.offer("10.0.0.9", 240);
  one.offer("10.0.0.8", 3);
  const auto taken = one.take();
  REQUIRE(taken.heard.size() == 1);
  CHECK(taken.heard.front().sender == ip("10.0.0.9"));
  CHECK(taken.heard.front().advertisement.priority == 240);
  CHECK(one.counters.adverts_received == 503);
  CHECK(one.take().heard.empty());
}

TEST_CASE("priority 0 counts from the Active Router alone, and its later word takes it back",
          "[router][bounds][rfc9568-6.4.2]") {
  Heard one;
  one.followed = ip("10.0.0.9");
  one.offer("10.0.0.8", 0);
  CHECK(one.take().heard.empty());
  one.offer("10.0.0.9", 100);
  one.offer("10.0.0.9", 0);
  auto taken = one.take();
  REQUIRE(taken.heard.size() == 1);
  CHECK(taken.heard.front().advertisement.priority == 0);
  one.offer("10.0.0.9", 0);
  one.offer("10.0.0.9", 100);
  taken = one.take();
  REQUIRE(taken.heard.size() == 1);
  CHECK(taken.heard.front().advertisement.priority == 100);
}

TEST_CASE("our own packet that comes back is dropped before anything else", "[router][echo]") {
  Heard one;
  one.offer("10.0.0.2", 254);
  CHECK(one.take().heard.empty());
  CHECK(one.discarded(vrrp::DropReason::source) == 1);
  CHECK(one.counters.adverts_received == 0);
}

TEST_CASE("an advertisement without an address of ours is no election about ours", "[router][strangers]") {
  Heard one;
  one.offer("10.0.0.9", 254, {"10.0.0.99"});
  auto taken = one.take();
  CHECK(taken.heard.empty());
  CHECK(taken.remarks.size() == 1);
  CHECK(one.discarded(vrrp::DropReason::address_list) == 1);
  REQUIRE(one.hearing.problems().size() == 1);
  CHECK(one.hearing.problems().front().find("virtual_router_id 50 on eth0 is also used by 10.0.0.9 for 10.0.0.99") ==
        0);
  // One in common: nodes in the middle of a change.
  one.offer("10.0.0.9", 254, {"10.0.0.99", "10.0.0.51"});
  taken = one.take();
  CHECK(taken.heard.size() == 1);
  CHECK(taken.remarks.size() == 1);
  one.now += 31s;
  one.hearing.expire(one.now);
  CHECK(one.hearing.problems().empty());
}

TEST_CASE("however many strangers there are, sixteen are remembered", "[router][strangers][bounds]") {
  Heard one;
  for (int i = 0; i < 200; ++i) {
    one.offer("10.0.1." + std::to_string(i), 254, {"10.0.0.99"});
    if (i % 7 == 0) one.take();
  }
  CHECK(one.hearing.problems().size() <= 16);
}

TEST_CASE("a neighbour's packet in unicast has an unspent hop limit, a distant peer's need not",
          "[router][unicast][rfc5082]") {
  Heard one({"10.0.0.9", "192.168.7.7"});
  one.offer("10.0.0.9", 100, {"10.0.0.50"}, 254);
  CHECK(one.take().heard.empty());
  CHECK(one.discarded(vrrp::DropReason::ttl) == 1);
  one.offer("192.168.7.7", 100, {"10.0.0.50"}, 60);
  CHECK(one.take().heard.size() == 1);
}

TEST_CASE("who is no peer is heard in unicast if it is a neighbour and speaks of our addresses", "[router][unicast]") {
  Heard one({"10.0.0.9"});
  one.offer("192.168.7.7", 254);
  one.offer("10.0.0.77", 254, {"10.0.0.99"});
  CHECK(one.take().heard.empty());
  CHECK(one.discarded(vrrp::DropReason::source) == 2);
  one.offer("10.0.0.77", 254);
  const auto taken = one.take();
  CHECK(taken.heard.size() == 1);
  CHECK(taken.more_destinations);
  CHECK(one.hearing.destinations() == std::vector{ip("10.0.0.9"), ip("10.0.0.77")});
  one.now += 10s;
  CHECK(one.hearing.expire(one.now));
  CHECK(one.hearing.destinations() == std::vector{ip("10.0.0.9")});
}

TEST_CASE("however many neighbours come, sixteen are answered", "[router][unicast][bounds]") {
  Heard one({"10.0.0.9"});
  for (int i = 10; i < 200; ++i) {
    one.offer("10.0.0." + std::to_string(i), 1 + i);
    one.take();
  }
  CHECK(one.hearing.destinations().size() == 17);
}

TEST_CASE("a peer that is taken from the list counts until it has been silent", "[router][unicast]") {
  Heard one({"10.0.0.8", "10.0.0.9"});
  one.offer("10.0.0.9", 200);
  one.take();
  one.instance.unicast_peers = {};
  one.configure();
  // The other was never heard.
  CHECK(one.hearing.destinations() == std::vector{ip("10.0.0.9")});
  for (int i = 0; i < 5; ++i) {
    one.now += 2s;
    one.offer("10.0.0.9", 200);
    CHECK(one.take().heard.size() == 1);
    one.hearing.expire(one.now);
  }
  one.now += 5s;
  one.hearing.expire(one.now);
  CHECK(one.hearing.destinations().empty());
}
