#include "engine/router/agent.h"

#include <catch2/catch.hpp>
#include <string>

using namespace vipkeeper;
using namespace vipkeeper::router;
using namespace std::chrono_literals;

namespace {

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }

HostView healthy(const std::vector<std::string>& sources = {"10.0.0.2"}) {
  HostView view;
  view.link = host::Link{.index = 2, .name = "eth0", .up = true, .running = true, .mtu = 1500, .mac = {}};
  for (const auto& text : sources) view.sources.push_back(ip(text));
  view.neighbours = {*IpPrefix::parse("10.0.0.2/24")};
  view.interfaces["eth0"] = vrrp::Health::ok;
  return view;
}

config::VrrpInstance vips() {
  config::VrrpInstance instance;
  instance.name = "vips";
  instance.interface = "eth0";
  instance.vrid = 50;
  instance.version = 3;
  instance.advert_interval = 1s;
  config::VirtualAddress address;
  address.prefix = *IpPrefix::parse("10.0.0.50/32");
  address.interface = "eth0";
  instance.addresses.push_back(address);
  return instance;
}

// An agent on virtual time, whose sockets open.
struct Run {
  Agent agent;
  TimePoint now{1000s};
  std::vector<AgentAction> actions;

  explicit Run(const config::VrrpInstance& instance = vips(), const HostView& view = healthy()) {
    configure(instance, view);
  }
  void configure(const config::VrrpInstance& instance, const HostView& view = healthy()) {
    tell(Configured{std::make_shared<const config::VrrpInstance>(instance), view});
  }
  void tell(const AgentEvent& event) {
    const auto more = agent.handle(now, event);
    actions.insert(actions.end(), more.begin(), more.end());
    for (const auto& action : more) {
      if (std::holds_alternative<Listen>(action)) tell(Listened{});
    }
  }
  void pass(Duration duration) {
    const TimePoint end = now + duration;
    while (agent.next_deadline() && *agent.next_deadline() <= end) {
      now = std::max(now, *agent.next_deadline());
      tell(DeadlinePassed{});
    }
    now = end;
  }
  void hear(const std::string& sender, int priority, Duration interval = 1s) {
    vrrp::Advertisement advertisement;
    advertisement.vrid = 50;
    advertisement.priority = static_cast<std::uint8_t>(priority);
    advertisement.interval = interval;
    advertisement.addresses = {ip("10.0.0.50")};
    const IpAddress group = ip("224.0.0.18");
    const auto payload = vrrp::serialize_advertisement(advertisement, ip(sender), group, false);
    agent.offer({ip(sender), group, 255, payload});
    tell(PacketsTaken{});
  }
  template <class Action>
  std::vector<Action> all() const {
    std::vector<Action> result;
    for (const auto& action : actions) {
      if (const auto* one = std::get_if<Action>(&action)) result.push_back(*one);
    }
    return result;
  }
};

}  // namespace

TEST_CASE("the socket is wanted before the first ADVERTISEMENT, and that leaves before the addresses come",
          "[router][agent]") {
  Run run;
  run.pass(4s);
  REQUIRE(run.agent.state() == vrrp::State::active);
  std::vector<std::size_t> places(3, 99);
  for (std::size_t i = run.actions.size(); i-- > 0;) {
    if (std::holds_alternative<Listen>(run.actions[i])) places[0] = i;
    if (std::holds_alternative<Transmit>(run.actions[i])) places[1] = i;
    const auto* hold = std::get_if<HoldAddresses>(&run.actions[i]);
    if (hold != nullptr && hold->holds) places[2] = i;
  }
  CHECK(std::ranges::is_sorted(places));
  auto owner = vips();
  owner.priority = 255;
  const Run at_once(owner);
  CHECK(at_once.all<Transmit>().size() == 1);
}

TEST_CASE("a source address that the interface does not have is a fault, at the start as later",
          "[router][agent][source]") {
  auto instance = vips();
  const bool unicast = GENERATE(true, false);
  instance.unicast = unicast;
  if (unicast) instance.unicast_peers = {ip("10.0.0.3")};
  instance.source = ip("10.0.0.2");
  instance.version = unicast ? 2 : 3;
  Run run(instance, healthy({}));
  CHECK(run.agent.state() == vrrp::State::fault);
  REQUIRE(run.agent.problems().size() == 1);
  CHECK(run.agent.problems().front() == "interface eth0 does not have 10.0.0.2, the address to send from");
  run.tell(HostSeen{healthy()});
  CHECK(run.agent.state() == vrrp::State::backup);
  run.pass(10s);
  CHECK(run.agent.state() == vrrp::State::active);
  run.tell(HostSeen{healthy({})});
  run.pass(900ms);
  CHECK(run.agent.state() == vrrp::State::active);
  run.actions.clear();
  run.pass(200ms);
  CHECK(run.agent.state() == vrrp::State::fault);
  REQUIRE_FALSE(run.all<Transmit>().empty());
  CHECK(run.all<Transmit>().back().priority == 0);
  CHECK(std::holds_alternative<StopListening>(run.actions.back()));
}

TEST_CASE("a fault of the host that ends does not stand for a check script that has not run",
          "[router][agent][scripts]") {
  auto instance = vips();
  instance.track_scripts = {{.script = "chk", .weight = 0, .reverse = false}};
  Run run(instance, healthy({}));
  CHECK(run.agent.state() == vrrp::State::fault);
  run.tell(HostSeen{healthy()});
  run.pass(20s);
  CHECK(run.agent.state() == vrrp::State::fault);
  run.tell(ScriptSpoke{"chk", vrrp::Health::ok});
  CHECK(run.agent.state() == vrrp::State::backup);
}

TEST_CASE("unicast with nobody never sends, and is Active", "[router][agent][unicast]") {
  auto instance = vips();
  instance.unicast = true;
  Run run(instance);
  run.pass(10s);
  CHECK(run.agent.state() == vrrp::State::active);
  REQUIRE(run.all<Listen>().size() == 1);
  CHECK(run.all<Listen>().front().local == ip("10.0.0.2"));
  for (const auto& transmit : run.all<Transmit>()) CHECK(transmit.envelope->destinations.empty());
}

TEST_CASE("more addresses than a packet or the MTU takes are held, advertised in part, and said",
          "[router][agent][mtu]") {
  auto instance = vips();
  for (int i = 0; i < 400; ++i) {
    auto address = instance.addresses.front();
    address.prefix.address = IpAddress::v4(0x0a010000U + static_cast<unsigned>(i));
    instance.addresses.push_back(address);
  }
  Run run(instance);
  run.pass(4s);
  CHECK(run.all<Transmit>().front().envelope->advertisement.addresses.size() == 255);
  CHECK(run.agent.problems().size() == 1);
  HostView narrow = healthy();
  narrow.link->mtu = 576;
  run.tell(HostSeen{narrow});
  run.pass(2s);
  CHECK(run.all<Transmit>().back().envelope->advertisement.addresses.size() == 137);
  run.configure(vips());
  CHECK(run.agent.problems().empty());
}

TEST_CASE("one packet does not silence a Backup Router for minutes", "[router][agent][bounds]") {
  Run run;
  run.hear("10.0.0.9", 254, 40950ms);
  REQUIRE(run.agent.state() == vrrp::State::backup);
  run.pass(45s);
  CHECK(run.agent.state() == vrrp::State::active);
}

TEST_CASE("who is about to take over from a lower priority takes over at once when that one says goodbye",
          "[router][agent][rfc9568-6.4.2-priority-zero]") {
  auto instance = vips();
  instance.priority = 200;
  Run run(instance);
  run.hear("10.0.0.9", 100);
  REQUIRE(run.agent.state() == vrrp::State::backup);
  run.hear("10.0.0.8", 0);
  run.hear("10.0.0.9", 0);
  run.pass(300ms);
  CHECK(run.agent.state() == vrrp::State::active);
}

TEST_CASE("an Active Router answers a priority 0, once an interval", "[router][agent][rfc9568-6.4.3]") {
  Run run;
  run.pass(30s);
  run.actions.clear();
  for (int i = 0; i < 10; ++i) run.hear("10.0.0.9", 0);
  CHECK(run.all<Transmit>().size() == 1);
}

TEST_CASE("a socket that cannot be opened is one fault, whatever the host does meanwhile", "[router][agent][faults]") {
  Agent agent;
  const auto instance = std::make_shared<const config::VrrpInstance>(vips());
  agent.handle(TimePoint(1s), Configured{instance, healthy()});
  agent.handle(TimePoint(1s), Listened{"cannot join the group"});
  REQUIRE(agent.state() == vrrp::State::fault);
  HostView other = healthy({"10.0.0.2", "10.0.0.3"});
  for (const auto& action : agent.handle(TimePoint(2s), HostSeen{other})) {
    CHECK_FALSE(std::holds_alternative<Transition>(action));
  }
  CHECK(agent.state() == vrrp::State::fault);
  agent.handle(TimePoint(3s), Listened{});
  CHECK(agent.state() == vrrp::State::backup);
}

TEST_CASE("priority 0 again and again does not keep a Backup Router from taking over", "[router][agent][bounds]") {
  Run run;
  run.hear("10.0.0.9", 254);
  run.hear("10.0.0.9", 0);
  for (int i = 0; i < 200 && run.agent.state() == vrrp::State::backup; ++i) {
    run.pass(10ms);
    run.hear("10.0.0.9", 0);
  }
  CHECK(run.agent.state() == vrrp::State::active);
}

TEST_CASE("those that lose are answered once an interval and announced against once in five seconds",
          "[router][agent][bounds]") {
  Run run;
  run.pass(30s);
  REQUIRE(run.agent.state() == vrrp::State::active);
  run.actions.clear();
  for (int i = 0; i < 1000; ++i) {
    run.hear("10.0.0.9", i % 100);
    run.pass(4ms);
  }
  CHECK(run.all<Transmit>().size() <= 9);
  CHECK(run.all<AnnounceAddresses>().size() == 1);
  CHECK(run.all<AnnounceAddresses>().front().repeat == 1);
}

TEST_CASE("a neighbour with a short interval makes a router change its state once in its own Active_Down_Interval",
          "[router][agent][bounds]") {
  Run run;
  run.pass(5s);
  for (int i = 0; i < 6000; ++i) {
    if (run.agent.state() == vrrp::State::active) run.hear("10.0.0.9", 254, 10ms);
    run.pass(10ms);
  }
  // Two changes in 3.6 s, and the first eight at once.
  CHECK(run.all<Transition>().size() < 50);
  run.pass(4s);
  CHECK(run.agent.state() == vrrp::State::active);
}

TEST_CASE("after the last word of a shutdown nothing is done any more", "[router][agent]") {
  Run run;
  run.pass(5s);
  run.actions.clear();
  run.tell(ShutDown{});
  CHECK(run.all<Transmit>().size() == 1);
  CHECK(run.all<HoldAddresses>().size() == 1);
  run.actions.clear();
  run.hear("10.0.0.9", 1);
  run.pass(10s);
  CHECK(run.actions.empty());
  CHECK_FALSE(run.agent.next_deadline());
}
