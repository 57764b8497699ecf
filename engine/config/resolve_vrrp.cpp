#include "engine/config/resolve_vrrp.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "engine/config/statement.h"

namespace vipkeeper::config {
namespace {

std::string shown(const Location& where) { return fmt::format("{}:{}:{}", where.file, where.line, where.column); }

class VrrpResolver {
 public:
  explicit VrrpResolver(const std::vector<VrrpSource>& sources) : sources_(sources) {}

  VrrpSide resolve() {
    resolve_globals();
    for (const VrrpSource& source : sources_) {
      for (const DeclaredScript& script : source.parsed->scripts) take_script(source, script);
    }
    for (const VrrpSource& source : sources_) {
      for (const DeclaredInstance& instance : source.parsed->instances) take_instance(source, instance);
    }
    for (const auto& [name, script] : scripts_) {
      if (!script.used)
        report(Severity::warning, script.where,
               fmt::format("vrrp_script {} is not used: no track_script names it", printable(name)));
    }
    return std::move(side_);
  }

 private:
  struct KnownScript {
    Location where;
    const VrrpScript* script;
    bool used = false;
  };
  struct Router {
    std::size_t instance;  // index in side_.instances
    Location where;
  };

  void report(Severity severity, const Location& where, std::string message) {
    side_.problems.push_back({severity, where, std::move(message)});
  }

  void resolve_globals() {
    for (const VrrpSource& source : sources_) {
      if (source.parsed->globals) overlay(globals_, *source.parsed->globals);
    }
    GlobalDefs& result = side_.globals;
    result.router_id = globals_.router_id.value_or("");
    result.vrrp_version = globals_.vrrp_version;
    result.multicast_group = globals_.multicast_group.value_or(result.multicast_group);
    result.announce.repeat = globals_.announce.repeat.value_or(result.announce.repeat);
    result.announce.delay = globals_.announce.delay.value_or(result.announce.delay);
    result.announce.refresh = globals_.announce.refresh.value_or(result.announce.refresh);
    result.announce.refresh_repeat = globals_.announce.refresh_repeat.value_or(result.announce.refresh_repeat);
    result.v3_checksum_as_v2 = globals_.v3_checksum_as_v2.value_or(false);
    result.script_user = globals_.script_user.value_or("");
    result.enable_script_security = globals_.enable_script_security.value_or(false);
    result.realtime_priority = globals_.realtime_priority.value_or(0);
    result.lock_memory = globals_.lock_memory.value_or(false);
  }

  void take_script(const VrrpSource& source, const DeclaredScript& declared) {
    const Location where = locate(*source.fragment, declared.at);
    const auto [known, is_new] = scripts_.try_emplace(declared.script.name, KnownScript{where, &declared.script});
    if (!is_new) {
      report(Severity::error, where,
             fmt::format("vrrp_script {} is defined twice, first in {}: rename or remove one",
                         printable(declared.script.name), shown(known->second.where)));
      return;
    }
    side_.scripts.push_back(declared.script);
  }

  void take_instance(const VrrpSource& source, const DeclaredInstance& declared) {
    const Location where = locate(*source.fragment, declared.name_at);
    const auto [known, is_new] = instances_.try_emplace(declared.name, where);
    if (!is_new) {
      report(Severity::error, where,
             fmt::format("vrrp_instance {} is defined twice, first in {}: rename or remove one",
                         printable(declared.name), shown(known->second)));
      return;
    }
    Findings findings;
    auto instance = resolve_instance(findings, declared, globals_);
    for (const Finding& finding : findings.list()) side_.problems.push_back(locate(*source.fragment, finding));
    resolve_scripts(source, declared, instance);
    if (!instance) return;
    check_router(source, declared, *instance, where);
    check_addresses(source, declared, *instance);
    side_.instances.push_back(std::move(*instance));
  }

  // Also for an instance that cannot run: its scripts are used, and its mistakes are mistakes.
  void resolve_scripts(const VrrpSource& source, const DeclaredInstance& declared,
                       std::optional<VrrpInstance>& instance) {
    std::set<std::string> seen;
    for (const auto& [tracked, at] : declared.track_scripts) {
      const auto known = scripts_.find(tracked.script);
      if (known == scripts_.end()) {
        report(Severity::error, locate(*source.fragment, at),
               fmt::format("track_script '{}' in vrrp_instance {} is not defined: add 'vrrp_script {} {{ ... }}'",
                           printable(tracked.script), printable(declared.name), printable(tracked.script)));
        continue;
      }
      known->second.used = true;
      if (!seen.insert(tracked.script).second) {
        report(Severity::warning, locate(*source.fragment, at),
               fmt::format("track_script '{}' is given twice: remove one", printable(tracked.script)));
        continue;
      }
      if (!instance) continue;
      const VrrpScript& script = *known->second.script;
      instance->track_scripts.push_back(tracked.weight ? TrackedScript{tracked.script, *tracked.weight, tracked.reverse}
                                                       : TrackedScript{tracked.script, script.weight, script.reverse});
    }
  }

  // Whose ADVERTISEMENTS an instance could take for its own: same interface and VRID, and a common way to hear them.
  static bool hear_each_other(const VrrpInstance& a, const VrrpInstance& b) {
    if (a.unicast != b.unicast) return true;
    if (!a.unicast) return a.multicast_group == b.multicast_group;
    return std::ranges::any_of(a.unicast_peers, [&](const IpAddress& peer) {
      return std::ranges::find(b.unicast_peers, peer) != b.unicast_peers.end();
    });
  }

  void check_router(const VrrpSource& source, const DeclaredInstance& declared, const VrrpInstance& instance,
                    const Location& where) {
    if (instance.vrid == 0 || instance.interface.empty()) return;
    auto& others = routers_[{instance.interface, instance.vrid}];
    for (const Router& other : others) {
      const VrrpInstance& first = side_.instances[other.instance];
      if (!hear_each_other(first, instance)) continue;
      report(Severity::error, locate(*source.fragment, declared.vrid->at),
             fmt::format("virtual_router_id {} on {} is taken by vrrp_instance {} in {}: choose another", instance.vrid,
                         printable(instance.interface), printable(first.name), shown(other.where)));
      break;
    }
    others.push_back({side_.instances.size(), where});
  }

  void check_addresses(const VrrpSource& source, const DeclaredInstance& declared, const VrrpInstance& instance) {
    std::set<IpAddress> reported;
    for (const auto* list : {&declared.addresses, &declared.excluded_addresses}) {
      for (const auto& [value, at] : *list) {
        const IpAddress& address = value.prefix.address;
        const std::string& interface = value.interface.empty() ? instance.interface : value.interface;
        const auto [holder, is_new] = holders_.try_emplace({address, interface}, declared.name);
        if (is_new || holder->second == declared.name || !reported.insert(address).second) continue;
        report(Severity::warning, locate(*source.fragment, at),
               fmt::format("'{}' on {} is also an address of vrrp_instance {}: keep it in one", address.to_string(),
                           printable(interface), printable(holder->second)));
      }
    }
  }

  const std::vector<VrrpSource>& sources_;
  VrrpSide side_;
  DeclaredGlobals globals_;
  std::map<std::string, KnownScript> scripts_;
  std::map<std::string, Location> instances_;
  std::map<std::pair<std::string, std::uint8_t>, std::vector<Router>> routers_;
  std::map<std::pair<IpAddress, std::string>, std::string> holders_;
};

}  // namespace

VrrpSide resolve_vrrp(const std::vector<VrrpSource>& sources) { return VrrpResolver(sources).resolve(); }

}  // namespace vipkeeper::config
