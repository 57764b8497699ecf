#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/protocol.h"
#include "engine/base/result.h"

// The kernel's IPVS table as values (linux/ip_vs.h).
namespace vipkeeper::ipvs {

enum class ForwardingMethod : std::uint8_t { masquerade, direct, tunnel };

struct ServiceKey {
  Protocol protocol = Protocol::tcp;
  IpAddress address;
  std::uint16_t port = 0;
  std::uint32_t fwmark = 0;  // != 0: protocol, address and port are unused
  Family family = Family::ipv4;

  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const ServiceKey&) const = default;
};

// A virtual service's settings.
struct Service {
  std::string scheduler = "wlc";
  std::uint32_t flags = 0;  // IP_VS_SVC_F_*; without HASHED, which is the kernel's own
  std::uint32_t persistence_seconds = 0;
  std::uint32_t persistence_prefix = 32;

  bool operator==(const Service&) const = default;
};

struct DestinationKey {
  IpAddress address;
  std::uint16_t port = 0;
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
struct AddService { ServiceKey key; Service service; bool operator==(const AddService&) const = default; };
struct SetService { ServiceKey key; Service service; bool operator==(const SetService&) const = default; };
struct DeleteService { ServiceKey key; bool operator==(const DeleteService&) const = default; };
struct AddDestination {
  ServiceKey service; DestinationKey key; Destination destination;
  bool operator==(const AddDestination&) const = default;
};
struct SetDestination {
  ServiceKey service; DestinationKey key; Destination destination;
  bool operator==(const SetDestination&) const = default;
};
struct DeleteDestination {
  ServiceKey service; DestinationKey key;
  bool operator==(const DeleteDestination&) const = default;
};
using Operation = std::variant<AddService, SetService, DeleteService, AddDestination, SetDestination, DeleteDestination>;

// "add real server 10.0.0.7:8080 to tcp 192.0.2.10:80 masquerade weight 1"
std::string to_string(const Operation& operation);

// Counters of one entry, for status only.
struct DestinationStats { std::uint32_t active_connections = 0; std::uint32_t inactive_connections = 0; };
struct ServiceStats {
  std::uint64_t connections = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::map<DestinationKey, DestinationStats> destinations;
};

// The kernel's table behind a seam: libnl in engine/net, a map with fault injection in the tests.
class KernelTable {
 public:
  virtual ~KernelTable() = default;
  // Everything in it, foreign entries included.
  virtual Result<Table> read() = 0;
  // In order, as few messages as the kernel allows; the result has one element an operation. A failed operation does not
  // stop those after it.
  virtual std::vector<Result<void>> apply(const std::vector<Operation>& operations) = 0;
};

}  // namespace vipkeeper::ipvs
