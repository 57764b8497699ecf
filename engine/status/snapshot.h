#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"

// All that an operator may ask of a running instance, as plain values: the shape of `status --json` (interface.md),
// field by field. Each thread publishes its part; nobody reads another thread's state.
namespace vipkeeper::status {

struct Problem {
  bool error = false;  // else a warning
  std::string object;  // "ConfigMap default/vip-configmap key 10.0.0.50"
  std::string message;
  auto operator<=>(const Problem&) const = default;
};

struct ConfigStatus {
  std::uint64_t generation = 0;  // 0: nothing was applied yet
  WallTime applied_at{};
  std::string source;  // apiserver, manifests or file
  bool synced = false;
  std::vector<Problem> problems;
};

struct AddressStatus {
  std::string address;  // with prefix length
  std::string interface;
  bool present = false;
};

struct VrrpCounters {
  std::uint64_t adverts_received = 0, adverts_sent = 0, became_master = 0, released_master = 0;
  std::uint64_t priority_zero_received = 0, priority_zero_sent = 0;
  // Discards by reason: ttl, checksum, version, vrid, length, auth, address_list, source.
  std::map<std::string, std::uint64_t> discarded;
};

struct Transition {
  WallTime at{};
  std::string from, to;  // INIT, BACKUP, MASTER, FAULT
  std::string reason;
};

struct VirtualRouterStatus {
  std::string name;
  int vrid = 0;
  Family family = Family::ipv4;
  int version = 3;
  std::string interface;
  std::string state = "INIT";
  WallTime since{};
  int priority = 0;
  int effective_priority = 0;
  double advert_interval_seconds = 0;
  std::string active_router;  // address; empty: unknown
  std::vector<AddressStatus> addresses;
  VrrpCounters counters;
  std::vector<Transition> transitions;  // the last 32, oldest first
};

struct RealServerStatus {
  std::string address;
  int port = 0;
  std::string method;  // masquerade, direct or tunnel
  int weight = 0;
  bool alive = false;
  bool draining = false;
  std::string check;  // "tcp: connected in 0.4 ms"; empty: none
  std::uint32_t active_connections = 0, inactive_connections = 0;
};

struct VirtualServiceStatus {
  std::string protocol;  // tcp, udp, sctp; empty for a fwmark
  std::string address;
  int port = 0;
  std::uint32_t fwmark = 0;  // 0: none
  std::string scheduler;
  std::uint32_t persistence_seconds = 0;
  std::string masquerade = "never";  // auto, always
  std::string service;               // "default/web"; empty: unknown
  bool quorum_up = false;
  std::uint64_t connections = 0, bytes_in = 0, bytes_out = 0;
  std::vector<RealServerStatus> real_servers;
};

// How replies of masqueraded connections come back through this node.
struct ReturnPathStatus {
  std::string way;                    // nftables or iptables; empty: no rules
  std::uint64_t services = 0;         // masqueraded ones in the kernel
  std::vector<std::string> networks;  // on this node alone: towards them auto does not masquerade
  bool in_place = true;               // the rules are as they shall be
};

// What the threads count since the start. The key is the name in /metrics without the vipkeeper_ prefix and the _total
// suffix, with at most one label: "table_reads", "kernel_operations{kind=\"destination_add\"}".
using Counters = std::map<std::string, std::uint64_t>;

struct Snapshot {
  std::string version;
  std::string node;
  int pid = 0;
  double uptime_seconds = 0;
  ConfigStatus config;
  std::vector<VirtualRouterStatus> virtual_routers;
  std::vector<VirtualServiceStatus> virtual_services;
  ReturnPathStatus return_path;
  Counters counters;
};

}  // namespace vipkeeper::status
