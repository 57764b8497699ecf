#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/model/forwarding_method.h"
#include "engine/model/service_key.h"

// The kernel's IPVS table as values (linux/ip_vs.h): what a virtual service is called, what it is set to, which real
// servers it has, and the six commands that change it. Plain values without a thread or a kernel behind them, so that
// tables can be compared, planned and made up in tests; kernel_table.h has the door to a kernel.
//
// One form each: two spellings of the same thing (the netmask of a service without persistence, the address of a fwmark
// service, the kernel's own flag bits) would make a plan that never becomes empty, so whoever makes a key or an entry
// passes it through normalized().
namespace vipkeeper::ipvs {

using model::ForwardingMethod;
using model::ServiceKey;

// Service::flags, as linux/ip_vs.h's IP_VS_SVC_F_*. A scheduler gives its own meaning to the last three (sh-port, ...).
inline constexpr std::uint32_t flag_persistent = 0x01, flag_hashed = 0x02, flag_one_packet = 0x04;
inline constexpr std::uint32_t flag_scheduler1 = 0x08, flag_scheduler2 = 0x10, flag_scheduler3 = 0x20;

// A virtual service's settings.
struct Service {
  std::string scheduler = "wlc";
  std::uint32_t flags = 0;  // one_packet and scheduler1..3; persistent and hashed are derived
  std::uint32_t persistence_seconds = 0;
  std::uint32_t persistence_prefix = 32;

  bool operator==(const Service&) const = default;
};

struct DestinationKey {
  IpAddress address;
  std::uint16_t port = 0;
  // "10.0.0.7:8080", "[2001:db8::7]:8080"
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const DestinationKey&) const = default;
};

// A real server's entry in one virtual service.
struct Destination {
  std::int32_t weight = 1;
  ForwardingMethod method = ForwardingMethod::masquerade;
  std::uint32_t upper_threshold = 0;
  std::uint32_t lower_threshold = 0;

  bool operator==(const Destination&) const = default;
};

struct ServiceEntry {
  Service service;
  std::map<DestinationKey, Destination> destinations;
  bool operator==(const ServiceEntry&) const = default;
};

using Table = std::map<ServiceKey, ServiceEntry>;

// One kernel command.
struct AddService {
  ServiceKey key;
  Service service;
  bool operator==(const AddService&) const = default;
};
struct SetService {
  ServiceKey key;
  Service service;
  bool operator==(const SetService&) const = default;
};
// Its destinations go with it.
struct DeleteService {
  ServiceKey key;
  bool operator==(const DeleteService&) const = default;
};
struct AddDestination {
  ServiceKey service;
  DestinationKey key;
  Destination destination;
  bool operator==(const AddDestination&) const = default;
};
struct SetDestination {
  ServiceKey service;
  DestinationKey key;
  Destination destination;
  bool operator==(const SetDestination&) const = default;
};
struct DeleteDestination {
  ServiceKey service;
  DestinationKey key;
  bool operator==(const DeleteDestination&) const = default;
};
using Operation =
    std::variant<AddService, SetService, DeleteService, AddDestination, SetDestination, DeleteDestination>;

// The virtual service that the command is about.
const ServiceKey& service_of(const Operation& operation);

// "add real server 10.0.0.7:8080 to tcp 192.0.2.10:80 masquerade weight 1"
std::string to_string(const Operation& operation);

// The same without the settings, the context of an error: "add real server 10.0.0.7:8080 to tcp 192.0.2.10:80".
std::string subject(const Operation& operation);

// The one form of a key: of a fwmark service only fwmark and family count, of any other the address says the family.
ServiceKey normalized(ServiceKey key);

// The one form of the settings: no derived flags, and without persistence the prefix length of a whole address.
Service normalized(const ServiceKey& key, Service service);

// Counters of one entry, for status only.
struct DestinationStats {
  std::uint32_t active_connections = 0;
  std::uint32_t inactive_connections = 0;
};
struct ServiceStats {
  std::uint64_t connections = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::map<DestinationKey, DestinationStats> destinations;
};

}  // namespace vipkeeper::ipvs
