#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"
#include "engine/config/language/fragment.h"
#include "engine/config/language/problem.h"
#include "engine/model/forwarding_method.h"
#include "engine/model/service_key.h"

// The values that a keepalived.conf describes. Every optional is "not said": the validator fills it from global_defs or
// the default, so what a ConfigDelta carries is resolved and nobody downstream asks for defaults. Immutable once
// shared.
namespace vipkeeper::config {

// Gratuitous ARP repetition (keepalived's garp_master_*; reference 1.6).
struct AnnouncePolicy {
  unsigned repeat = 5;
  Duration delay = std::chrono::seconds(5);  // 0: no second block
  Duration refresh{0};                       // 0: off
  unsigned refresh_repeat = 1;

  bool operator==(const AnnouncePolicy&) const = default;
};

struct GlobalDefs {
  std::string router_id;
  std::optional<int> vrrp_version;                        // 2 or 3
  IpAddress multicast_group = IpAddress::v4(0xe0000012);  // 224.0.0.18
  AnnouncePolicy announce;
  bool v3_checksum_as_v2 = false;
  std::string script_user;              // "USER" or "USER GROUP"; empty: as the process is
  bool enable_script_security = false;  // root runs no script that others could replace
  int realtime_priority = 0;            // vrrp_rt_priority, 1..99; 0: none
  bool lock_memory = false;             // vrrp_no_swap

  bool operator==(const GlobalDefs&) const = default;
};

// vrrp_script NAME { ... }
struct VrrpScript {
  std::string name;
  std::string command;  // as written; the runner splits it or hands it to /bin/sh as keepalived does
  Duration interval = std::chrono::seconds(1);
  Duration timeout{0};  // 0: same as interval
  int weight = 0;       // -253..253
  bool reverse = false;
  unsigned rise = 1;
  unsigned fall = 1;
  bool init_fail = false;
  std::string user;  // as GlobalDefs::script_user, which it stands before

  bool operator==(const VrrpScript&) const = default;
};

// weight 0: unweighted, its failure is a fault of the virtual router.
struct TrackedScript {
  std::string script;
  int weight = 0;
  bool reverse = false;
  bool operator==(const TrackedScript&) const = default;
};

struct TrackedInterface {
  std::string interface;
  int weight = 0;
  bool reverse = false;
  bool operator==(const TrackedInterface&) const = default;
};

enum class Scope : std::uint8_t { global = 0, site = 200, link = 253, host = 254, nowhere = 255 };  // linux/rtnetlink.h

struct VirtualAddress {
  IpPrefix prefix;        // host prefix when not said
  std::string interface;  // "dev"; resolved: never empty when the instance has an interface
  Scope scope = Scope::global;
  std::string label;
  std::optional<IpAddress> broadcast;
  bool no_track = false;

  auto operator<=>(const VirtualAddress&) const = default;
};

// notify, notify_master, ...: commands, empty when not given. Called as keepalived does (reference 1.12).
struct NotifyScripts {
  std::string any, master, backup, fault, stop;
  bool operator==(const NotifyScripts&) const = default;
};

// vrrp_instance NAME { ... }, resolved.
struct VrrpInstance {
  std::string name;
  std::string interface;
  std::uint8_t vrid = 0;  // 1..255
  std::uint8_t priority = 100;
  int version = 2;  // 2 or 3
  Duration advert_interval = std::chrono::seconds(1);
  bool wants_master = false;  // "state MASTER": matters for the default priority and for warnings only
  bool preempt = true;
  Duration preempt_delay{0};
  bool accept = true;
  std::optional<IpAddress> source;  // unicast_src_ip or mcast_src_ip; else the interface's primary address
  // A unicast_peer block is there. An empty one, which is a word of ours, is unicast with nobody: nothing is sent,
  // nobody is heard.
  bool unicast = false;
  std::vector<IpAddress> unicast_peers;  // whom unicast reaches, and who is heard
  IpAddress multicast_group = IpAddress::v4(0xe0000012);
  bool v3_checksum_as_v2 = false;
  unsigned down_timer_adverts = 3;
  std::string auth_password;                       // v2 only, up to 8 characters; empty: none
  std::vector<VirtualAddress> addresses;           // advertised
  std::vector<VirtualAddress> excluded_addresses;  // held, not advertised
  bool track_primary_interface = true;
  std::vector<TrackedInterface> track_interfaces;
  std::vector<TrackedScript> track_scripts;
  AnnouncePolicy announce;
  NotifyScripts notify;

  bool operator==(const VrrpInstance&) const = default;
};

using model::ForwardingMethod;

// Whether the source of connections by NAT is rewritten too, so that replies come back through this node: never,
// unless they do so anyhow, always.
enum class Masquerade : std::uint8_t { never, automatic, always };

using VirtualServerKey = model::ServiceKey;

// TCP_CHECK { ... }: a connection that opens is a live real server.
struct TcpCheck {
  std::optional<IpAddress> connect_address;  // default: the real server's
  std::uint16_t connect_port = 0;            // resolved: never 0
  Duration connect_timeout = std::chrono::seconds(5);
  Duration interval = std::chrono::seconds(60);  // delay_loop
  unsigned retry = 1;
  Duration delay_before_retry = std::chrono::seconds(1);

  auto operator<=>(const TcpCheck&) const = default;
};

struct RealServer {
  IpAddress address;
  std::uint16_t port = 0;
  int weight = 1;
  ForwardingMethod method = ForwardingMethod::masquerade;
  std::uint32_t upper_threshold = 0;  // connections; 0: none
  std::uint32_t lower_threshold = 0;
  bool inhibit_on_failure = false;  // a dead one keeps its entry with weight 0
  bool on_this_node = false;        // what its reply passes is known: see Masquerade::automatic
  std::vector<TcpCheck> checks;     // none: always alive

  bool operator==(const RealServer&) const = default;
};

// virtual_server ... { ... }, resolved.
struct VirtualServer {
  VirtualServerKey key;
  std::string comment;  // from the "# Service: NAMESPACE/NAME" line before it; shown in status
  std::string scheduler = "wlc";
  std::uint32_t scheduler_flags = 0;      // IP_VS_SVC_F_SCHED1..3 and ONEPACKET, as linux/ip_vs.h
  std::uint32_t persistence_seconds = 0;  // 0: none
  std::uint32_t persistence_prefix = 32;  // persistence_granularity as a prefix length; 128 for IPv6
  Masquerade masquerade = Masquerade::never;
  bool alpha = false;  // real servers start down until the first check
  unsigned quorum = 1;
  unsigned hysteresis = 0;
  std::vector<RealServer> real_servers;

  bool operator==(const VirtualServer&) const = default;
};

// What a FragmentChange means for the engine, after it was parsed, validated and swapped in whole.
struct ConfigDelta {
  bool vrrp_changed = false;
  // All of the VRRP side when it changed (there are few), else empty.
  GlobalDefs globals;
  std::vector<std::shared_ptr<const VrrpInstance>> instances;
  std::vector<std::shared_ptr<const VrrpScript>> scripts;
  // Only what changed; null: removed.
  std::map<VirtualServerKey, std::shared_ptr<const VirtualServer>> virtual_servers;
};

// The newer of two deltas on top of the older (for LatestQueue).
ConfigDelta merge(ConfigDelta older, ConfigDelta newer);

}  // namespace vipkeeper::config
