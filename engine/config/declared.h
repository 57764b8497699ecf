#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/config/config.h"
#include "engine/config/language/finding.h"

// What one fragment says, before globals and defaults are applied. Everything that a later finding may point at keeps
// its place. Nothing here refers to another fragment.
namespace vipkeeper::config {

template <class T>
struct Said {
  T value{};
  Position at;
};

template <class T>
using MaybeSaid = std::optional<Said<T>>;

// garp_master_* of an instance, vrrp_garp_master_* of global_defs.
struct DeclaredAnnounce {
  std::optional<unsigned> repeat;
  std::optional<Duration> delay;
  std::optional<Duration> refresh;
  std::optional<unsigned> refresh_repeat;
};

// What every instance takes from it where it does not say it itself.
struct DeclaredGlobals {
  std::optional<std::string> router_id;
  std::optional<int> vrrp_version;
  std::optional<IpAddress> multicast_group;
  bool multicast_group_is_bad = false;  // said and already reported
  DeclaredAnnounce announce;
  std::optional<bool> v3_checksum_as_v2;
  std::optional<std::string> script_user;
  std::optional<bool> enable_script_security;
  std::optional<int> realtime_priority;
  std::optional<bool> lock_memory;
  std::optional<bool> strict;
  std::optional<std::string> default_interface;
};

// The newer on top of the older: what several global_defs say together.
void overlay(DeclaredGlobals& older, const DeclaredGlobals& newer);

struct DeclaredScript {
  VrrpScript script;
  Position at;            // of its name
  bool unusable = false;  // and already reported; its name is all that counts
};

struct DeclaredTrackedScript {
  std::string script;
  std::optional<int> weight;  // not said: the vrrp_script's
  bool reverse = false;
};

struct DeclaredInstance {
  std::string name;
  Position name_at;
  bool unusable = false;  // and already reported; its name is all that counts
  std::optional<std::string> interface;
  MaybeSaid<std::uint8_t> vrid;
  std::optional<int> priority;
  std::optional<int> version;
  MaybeSaid<Duration> advert_interval;
  MaybeSaid<bool> wants_master;
  MaybeSaid<bool> nopreempt;
  MaybeSaid<Duration> preempt_delay;
  std::optional<bool> accept;
  std::optional<IpAddress> source;
  std::optional<Position> unicast_at;  // of the unicast_peer block
  std::vector<Said<IpAddress>> unicast_peers;
  bool has_bad_peer = false;  // said and already reported
  std::optional<IpAddress> multicast_group;
  std::optional<bool> v3_checksum_as_v2;
  MaybeSaid<unsigned> down_timer_adverts;
  std::optional<Position> authentication_at;
  bool authentication_is_bad = false;  // already reported
  MaybeSaid<std::string> auth_password;
  bool no_virtual_ipaddress = false;
  bool has_bad_address = false;  // said and already reported
  std::vector<Said<VirtualAddress>> addresses;
  std::vector<Said<VirtualAddress>> excluded_addresses;
  bool dont_track_primary = false;
  std::vector<Said<TrackedInterface>> track_interfaces;
  std::vector<Said<DeclaredTrackedScript>> track_scripts;
  std::optional<bool> strict;
  DeclaredAnnounce announce;
  NotifyScripts notify;
};

// Resolved at once: nothing of another fragment plays a part.
struct DeclaredServer {
  VirtualServerKey key;
  std::shared_ptr<const VirtualServer> server;  // null: unusable, and already reported
  Position at;
};

struct ParsedFragment {
  std::vector<Finding> findings;
  std::optional<DeclaredGlobals> globals;
  std::vector<DeclaredScript> scripts;
  std::vector<DeclaredInstance> instances;
  std::vector<DeclaredServer> servers;

  [[nodiscard]] bool has_vrrp() const { return globals || !scripts.empty() || !instances.empty(); }
};

// Lexes and parses one fragment's text; never fails, see `findings`.
ParsedFragment parse_fragment(std::string_view text);

}  // namespace vipkeeper::config
