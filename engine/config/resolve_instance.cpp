#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "engine/config/language/statement.h"
#include "engine/config/language/values.h"
#include "engine/config/resolve_vrrp.h"

namespace vipkeeper::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int owner_priority = 255;
constexpr int default_priority = 100;
constexpr std::size_t longest_password = 8;
constexpr std::size_t most_addresses = 255;  // the count of an ADVERTISEMENT is one byte
constexpr unsigned default_down_timer_adverts = 3;

class InstanceResolver {
 public:
  InstanceResolver(Findings& findings, const DeclaredInstance& declared, const DeclaredGlobals& globals)
      : findings_(findings),
        declared_(declared),
        globals_(globals),
        title_(fmt::format("vrrp_instance {}", printable(declared.name))),
        strict_(declared.strict.value_or(globals.strict.value_or(false))) {}

  std::optional<VrrpInstance> resolve() {
    if (is_ipv6()) {
      refuse(declared_.name_at,
             fmt::format("{} is left out: it has IPv6 addresses, which is not supported yet", title_));
      return std::nullopt;
    }
    instance_.name = declared_.name;
    resolve_identity();
    resolve_priority();
    resolve_interval();
    resolve_preemption();
    resolve_authentication();
    resolve_peers();
    resolve_addresses();
    resolve_tracking();
    resolve_announcements();
    instance_.accept = declared_.accept.value_or(!strict_ || instance_.priority == owner_priority);
    instance_.notify = declared_.notify;
    if (!usable_) return std::nullopt;
    return std::move(instance_);
  }

 private:
  // The line is left out; the instance, where it would not be safe or possible without it.
  void leave_out(Position at, std::string message) { findings_.error(at, std::move(message)); }
  void refuse(Position at, std::string message) {
    findings_.error(at, std::move(message));
    usable_ = false;
  }
  void warn(Position at, std::string message) { findings_.warning(at, std::move(message)); }

  [[nodiscard]] bool is_ipv6() const {
    if (!declared_.addresses.empty()) return !declared_.addresses.front().value.prefix.address.is_v4();
    return declared_.source && !declared_.source->is_v4();
  }

  void resolve_identity() {
    instance_.version = declared_.version.value_or(globals_.vrrp_version.value_or(2));
    instance_.interface = declared_.interface.value_or(globals_.default_interface.value_or(""));
    if (instance_.interface.empty() && !declared_.interface) {
      refuse(declared_.name_at, fmt::format("{} is left out: it has no 'interface', add 'interface NAME'", title_));
    }
    if (declared_.vrid) {
      instance_.vrid = declared_.vrid->value;
    } else {
      refuse(declared_.name_at, fmt::format("{} is left out: it has no 'virtual_router_id', add one from 1 to 255, the "
                                            "same on all its nodes",
                                            title_));
    }
    instance_.v3_checksum_as_v2 = declared_.v3_checksum_as_v2.value_or(globals_.v3_checksum_as_v2.value_or(false));
    instance_.down_timer_adverts = default_down_timer_adverts;
    if (declared_.down_timer_adverts) {
      if (strict_) {
        warn(declared_.down_timer_adverts->at,
             fmt::format("'down_timer_adverts' is not for vrrp_strict: {} is used", default_down_timer_adverts));
      } else {
        instance_.down_timer_adverts = declared_.down_timer_adverts->value;
      }
    }
  }

  void resolve_priority() {
    const bool says_master = declared_.wants_master && declared_.wants_master->value;
    const int priority = declared_.priority.value_or(says_master ? owner_priority : default_priority);
    instance_.priority = static_cast<std::uint8_t>(priority);
    instance_.wants_master = declared_.wants_master ? says_master : priority == owner_priority;
    if (strict_ && declared_.wants_master && says_master != (priority == owner_priority)) {
      warn(declared_.wants_master->at,
           fmt::format("vrrp_strict: 'state MASTER' goes with priority 255 and no other, BACKUP and {} are used",
                       priority));
      instance_.wants_master = priority == owner_priority;
    }
  }

  void resolve_interval() {
    if (!declared_.advert_interval) return;
    const Duration wanted = declared_.advert_interval->value;
    instance_.advert_interval = advert_interval_for(instance_.version, wanted);
    if (instance_.advert_interval == wanted) return;
    warn(declared_.advert_interval->at,
         fmt::format("'advert_int {}': version {} takes {}, {} is used", format_seconds(wanted), instance_.version,
                     instance_.version == 2 ? "whole seconds" : "hundredths of a second up to 40.95",
                     format_seconds(instance_.advert_interval)));
  }

  void resolve_preemption() {
    const bool nopreempt = declared_.nopreempt && declared_.nopreempt->value;
    instance_.preempt = !nopreempt;
    if (nopreempt && (instance_.wants_master || instance_.priority == owner_priority)) {
      warn(declared_.nopreempt->at,
           fmt::format("'nopreempt' is ignored: it does not go with {}",
                       instance_.wants_master ? "'state MASTER', write 'state BACKUP'" : "priority 255"));
      instance_.preempt = true;
    }
    if (!declared_.preempt_delay || declared_.preempt_delay->value == Duration{0}) return;
    const char* clash = nullptr;
    if (strict_) clash = "vrrp_strict";
    if (!instance_.preempt) clash = "'nopreempt'";
    if (instance_.wants_master) clash = "'state MASTER', write 'state BACKUP'";
    if (clash != nullptr) {
      warn(declared_.preempt_delay->at, fmt::format("'preempt_delay' is ignored: it does not go with {}", clash));
    } else {
      instance_.preempt_delay = declared_.preempt_delay->value;
    }
  }

  void resolve_authentication() {
    if (!declared_.authentication_at || declared_.authentication_is_bad) return;
    if (instance_.version == 3) {
      warn(*declared_.authentication_at, "'authentication' is ignored: VRRP version 3 has none; remove it");
    } else if (strict_) {
      warn(*declared_.authentication_at, "'authentication' is ignored: vrrp_strict allows none; remove one of the two");
    } else if (!declared_.auth_password || declared_.auth_password->value.empty()) {
      warn(*declared_.authentication_at, "'authentication' without auth_pass is ignored: add 'auth_pass PASSWORD'");
    } else {
      instance_.auth_password = declared_.auth_password->value;
      if (instance_.auth_password.size() <= longest_password) return;
      instance_.auth_password.resize(longest_password);
      warn(declared_.auth_password->at,
           fmt::format("'auth_pass' is longer than {0} characters, the first {0} are used", longest_password));
    }
  }

  void resolve_peers() {
    instance_.multicast_group =
        declared_.multicast_group.value_or(globals_.multicast_group.value_or(GlobalDefs{}.multicast_group));
    instance_.source = declared_.source;
    if (!instance_.multicast_group.is_v4())
      refuse(declared_.name_at, fmt::format("{} is left out: 'mcast_dst_ip' must be IPv4 as its addresses", title_));
    if (instance_.source && !instance_.source->is_v4()) {
      leave_out(declared_.name_at, fmt::format("{}: its source address must be IPv4 as its addresses, the interface's "
                                               "primary address is used",
                                               title_));
      instance_.source.reset();
    }
    resolve_unicast();
    // Its peers would be in a group that nobody here knows of.
    if (!declared_.unicast_at && !declared_.multicast_group && globals_.multicast_group_is_bad)
      refuse(declared_.name_at, fmt::format("{} is left out: global_defs' 'vrrp_mcast_group4' cannot be used", title_));
  }

  void resolve_unicast() {
    bool has_bad_peer = declared_.has_bad_peer;
    std::set<IpAddress> seen;
    for (const auto& [peer, at] : declared_.unicast_peers) {
      const std::string text = peer.to_string();
      if (!peer.is_v4()) {
        leave_out(at,
                  fmt::format("unicast_peer '{}' must be IPv4 as the addresses of {}, it is left out", text, title_));
        has_bad_peer = true;
      } else if (peer == instance_.source) {
        warn(at, fmt::format("unicast_peer '{}' is the own unicast_src_ip, ignored: list the other nodes only", text));
      } else if (!seen.insert(peer).second) {
        warn(at, fmt::format("unicast_peer '{}' is given twice: remove one", text));
      } else {
        instance_.unicast_peers.push_back(peer);
      }
    }
    // Never what its opposite would be: a keepalived takes a block without peers for multicast.
    instance_.unicast = declared_.unicast_at.has_value();
    if (!instance_.unicast) return;
    if (!instance_.unicast_peers.empty()) {
      if (strict_)
        warn(*declared_.unicast_at, "'unicast_peer' is not for vrrp_strict, it is used all the same: remove one");
    } else if (has_bad_peer) {
      refuse(*declared_.unicast_at,
             fmt::format("{} is left out: none of its unicast_peers can be used, and multicast was "
                         "not asked for",
                         title_));
    }
  }

  // Resolves one address; nullopt if it is not for this instance.
  std::optional<VirtualAddress> resolve_address(const Said<VirtualAddress>& said, std::string_view list) {
    VirtualAddress address = said.value;
    if (!address.prefix.address.is_v4()) {
      if (list == "virtual_ipaddress") {
        leave_out(said.at, fmt::format("'{}' is left out: all addresses of {} must be of one family, "
                                       "virtual_ipaddress_excluded takes the others",
                                       address.prefix.to_string(), title_));
      } else {
        leave_out(said.at,
                  fmt::format("'{}' is left out: IPv6 in {} is not supported yet", address.prefix.to_string(), list));
      }
      return std::nullopt;
    }
    if (address.interface.empty()) address.interface = instance_.interface;
    if (!addresses_seen_.emplace(address.prefix.address, address.interface).second) {
      warn(said.at, fmt::format("'{}' is given twice in {}: remove one", address.prefix.address.to_string(), title_));
      return std::nullopt;
    }
    return address;
  }

  void resolve_addresses() {
    for (const auto& said : declared_.addresses) {
      auto address = resolve_address(said, "virtual_ipaddress");
      if (!address) continue;
      const bool fits = instance_.addresses.size() < most_addresses;
      if (!fits && instance_.excluded_addresses.empty()) {
        warn(said.at, fmt::format("{} has more than {} addresses, from here on they are held but not advertised",
                                  title_, most_addresses));
      }
      (fits ? instance_.addresses : instance_.excluded_addresses).push_back(std::move(*address));
    }
    for (const auto& said : declared_.excluded_addresses) {
      if (auto address = resolve_address(said, "virtual_ipaddress_excluded"))
        instance_.excluded_addresses.push_back(std::move(*address));
    }
    if (!instance_.addresses.empty()) return;
    if (declared_.has_bad_address) {
      refuse(declared_.name_at, fmt::format("{} is left out: none of its addresses can be used", title_));
    } else if (declared_.no_virtual_ipaddress) {
      return;
    } else if (instance_.version == 3 || strict_) {
      refuse(declared_.name_at, fmt::format("{} is left out: it has no 'virtual_ipaddress', add one", title_));
    } else {
      warn(declared_.name_at, fmt::format("{} has no 'virtual_ipaddress': add one", title_));
    }
  }

  void resolve_tracking() {
    instance_.track_primary_interface = !declared_.dont_track_primary;
    std::set<std::string> seen;
    for (const auto& [tracked, at] : declared_.track_interfaces) {
      if (tracked.interface == instance_.interface) {
        warn(at, fmt::format("track_interface '{}' is ignored: an instance tracks its own interface anyway",
                             printable(tracked.interface)));
      } else if (!seen.insert(tracked.interface).second) {
        warn(at, fmt::format("track_interface '{}' is given twice: remove one", printable(tracked.interface)));
      } else {
        instance_.track_interfaces.push_back(tracked);
      }
    }
  }

  void resolve_announcements() {
    const AnnouncePolicy defaults;
    const DeclaredAnnounce& own = declared_.announce;
    const DeclaredAnnounce& global = globals_.announce;
    const auto pick = [](const auto& inner, const auto& outer, auto otherwise) {
      return inner ? *inner : outer.value_or(otherwise);
    };
    instance_.announce.repeat = pick(own.repeat, global.repeat, defaults.repeat);
    instance_.announce.delay = pick(own.delay, global.delay, defaults.delay);
    instance_.announce.refresh = pick(own.refresh, global.refresh, defaults.refresh);
    instance_.announce.refresh_repeat = pick(own.refresh_repeat, global.refresh_repeat, defaults.refresh_repeat);
  }

  Findings& findings_;
  const DeclaredInstance& declared_;
  const DeclaredGlobals& globals_;
  std::string title_;
  bool strict_;
  VrrpInstance instance_;
  bool usable_ = true;
  std::set<std::pair<IpAddress, std::string>> addresses_seen_;
};

}  // namespace

Duration advert_interval_for(int version, Duration wanted) {
  const Duration unit = version == 2 ? Duration(seconds(1)) : Duration(milliseconds(10));
  const Duration longest = version == 2 ? Duration(seconds(255)) : Duration(milliseconds(40950));
  const Duration rounded = (wanted + unit / 2) / unit * unit;
  return std::clamp(rounded, unit, longest);
}

std::optional<VrrpInstance> resolve_instance(Findings& findings, const DeclaredInstance& declared,
                                             const DeclaredGlobals& globals) {
  return InstanceResolver(findings, declared, globals).resolve();
}

}  // namespace vipkeeper::config
