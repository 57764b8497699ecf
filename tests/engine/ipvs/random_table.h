#pragma once

#include <array>
#include <random>

#include "engine/ipvs/table.h"

namespace vipkeeper::test {

// Tables over a small world of names, so that two of them have much in common; the same seed gives the same sequence.
class RandomTables {
 public:
  explicit RandomTables(unsigned seed) : random_(seed) {}

  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }

  ipvs::ServiceKey key() {
    ipvs::ServiceKey key;
    switch (below(8)) {
      case 0:
        key.fwmark = 1 + below(2);
        key.family = below(2) == 0 ? Family::ipv4 : Family::ipv6;
        break;
      case 1:
        key.address = *IpAddress::parse("2001:db8::1");
        break;
      default:
        key.address = IpAddress::v4(0xc0000200 + below(3));
        break;
    }
    key.protocol = std::array{Protocol::tcp, Protocol::udp, Protocol::sctp}.at(below(3));
    key.port = static_cast<std::uint16_t>(80 + below(2));
    return ipvs::normalized(key);
  }

  ipvs::Service service(const ipvs::ServiceKey& key) {
    ipvs::Service service;
    service.scheduler = std::array{"wlc", "rr", "mh", "sh"}.at(below(4));
    if (below(4) == 0) service.flags = ipvs::flag_one_packet;
    if (below(3) == 0) {
      service.persistence_seconds = 60 * (1 + below(2));
      service.persistence_prefix = 24 + below(2) * 8;
    }
    return ipvs::normalized(key, service);
  }

  ipvs::Destination destination() {
    return {static_cast<std::int32_t>(below(3)),
            below(2) == 0 ? ipvs::ForwardingMethod::masquerade : ipvs::ForwardingMethod::direct, below(2) * 100,
            below(2) * 50};
  }

  ipvs::ServiceEntry entry(const ipvs::ServiceKey& key) {
    ipvs::ServiceEntry entry{service(key), {}};
    for (unsigned count = below(5); count > 0; --count)
      entry.destinations[{IpAddress::v4(0x0a000000 + below(6)), static_cast<std::uint16_t>(8080 + below(2))}] =
          destination();
    return entry;
  }

  ipvs::Table table() {
    ipvs::Table table;
    for (unsigned count = below(7); count > 0; --count) {
      const ipvs::ServiceKey name = key();
      table[name] = entry(name);
    }
    return table;
  }

 private:
  std::mt19937 random_;
};

}  // namespace vipkeeper::test
