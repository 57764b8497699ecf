#include "engine/ipvs/table.h"

#include <catch2/catch.hpp>

#include "tests/engine/ipvs/random_table.h"

namespace vipkeeper::ipvs {
namespace {

const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
const ServiceKey web6{Protocol::udp, *IpAddress::parse("2001:db8::1"), 53, 0, Family::ipv6};
const ServiceKey mark{Protocol::tcp, {}, 0, 7, Family::ipv4};
const ServiceKey mark6{Protocol::tcp, {}, 0, 7, Family::ipv6};
const DestinationKey pod{IpAddress::v4(0x0a000007), 8080};
const DestinationKey pod6{*IpAddress::parse("2001:db8::7"), 53};

TEST_CASE("a command reads as a sentence of what it does", "[ipvs][text]") {
  struct Row {
    Operation operation;
    std::string text;
  };
  const Row rows[] = {
      {AddService{web, {}}, "add virtual service tcp 192.0.2.10:80 scheduler wlc"},
      {AddService{web, {"sh", flag_scheduler2, 300, 24}},
       "add virtual service tcp 192.0.2.10:80 scheduler sh flags 0x10 persistence 300 s for each /24"},
      {SetService{mark, {"rr", 0, 60, 32}}, "change virtual service fwmark 7 to scheduler rr persistence 60 s"},
      {SetService{mark6, {"rr", 0, 60, 128}}, "change virtual service fwmark 7 ipv6 to scheduler rr persistence 60 s"},
      {DeleteService{web6}, "delete virtual service udp [2001:db8::1]:53"},
      {AddDestination{web, pod, {}}, "add real server 10.0.0.7:8080 to tcp 192.0.2.10:80 masquerade weight 1"},
      {SetDestination{web, pod, {0, ForwardingMethod::direct, 100, 50}},
       "change real server 10.0.0.7:8080 of tcp 192.0.2.10:80 to direct weight 0 thresholds 100/50"},
      {DeleteDestination{web6, pod6}, "delete real server [2001:db8::7]:53 from udp [2001:db8::1]:53"},
  };
  for (const Row& row : rows) CHECK(to_string(row.operation) == row.text);
}

TEST_CASE("the subject of a command leaves its settings out", "[ipvs][text]") {
  CHECK(subject(AddDestination{web, pod, {}}) == "add real server 10.0.0.7:8080 to tcp 192.0.2.10:80");
  CHECK(subject(SetService{web, {}}) == "change virtual service tcp 192.0.2.10:80");
}

TEST_CASE("two spellings of one virtual service have one normalized form", "[ipvs][normalized]") {
  ServiceKey spelled = mark;
  spelled.protocol = Protocol::udp;
  spelled.address = IpAddress::v4(1);
  spelled.port = 5;
  CHECK(normalized(spelled) == mark);
  ServiceKey family_unsaid = web6;
  family_unsaid.family = Family::ipv4;
  CHECK(normalized(family_unsaid) == web6);
  CHECK(normalized(mark6) != mark);
}

TEST_CASE("derived flags and the netmask of a service without persistence are normalized away", "[ipvs][normalized]") {
  CHECK(normalized(web, {"wlc", flag_persistent | flag_hashed | flag_one_packet, 0, 24}) ==
        Service{"wlc", flag_one_packet, 0, 32});
  CHECK(normalized(web6, {"wlc", 0, 0, 32}) == Service{"wlc", 0, 0, 128});
  CHECK(normalized(web, {"wlc", flag_persistent, 60, 24}) == Service{"wlc", 0, 60, 24});
}

TEST_CASE("normalizing twice is normalizing once", "[ipvs][normalized]") {
  test::RandomTables random(1);
  for (int i = 0; i < 500; ++i) {
    const ServiceKey key = random.key();
    CHECK(normalized(key) == key);
    const Service service = random.service(key);
    CHECK(normalized(key, service) == service);
  }
}

}  // namespace
}  // namespace vipkeeper::ipvs
