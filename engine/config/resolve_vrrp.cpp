#include "engine/config/resolve_vrrp.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "engine/config/language/statement.h"
#include "engine/config/router_id.h"

namespace vipkeeper::config {
namespace {

std::string shown(const Location& where) { return fmt::format("{}:{}:{}", where.file, where.line, where.column); }

class VrrpResolver {
 public:
  VrrpResolver(std::vector<VrrpSource> sources, const RunningVrrp& running)
      : sources_(std::move(sources)), running_(running) {
    std::ranges::stable_sort(sources_, {}, [](const VrrpSource& source) {
      return std::tie(source.fragment->file, source.fragment->first_line, source.fragment->first_column);
    });
  }

  VrrpSide resolve() {
    resolve_globals();
    for (const VrrpSource& source : sources_) {
      for (const DeclaredScript& script : source.parsed->scripts) take_script(source, script);
    }
    for (const VrrpSource& source : sources_) {
      for (const DeclaredInstance& instance : source.parsed->instances) take_instance(source, instance);
    }
    for (const auto& [name, script] : scripts_) {
      if (!script.used && script.script != nullptr)
        report(Severity::warning, script.where,
               fmt::format("vrrp_script {} is not used: no track_script names it", printable(name)));
    }
    // Where a block stands in the file is no part of what it means.
    std::ranges::sort(side_.scripts, {}, &VrrpScript::name);
    std::ranges::sort(side_.instances, {}, &VrrpInstance::name);
    return std::move(side_);
  }

 private:
  struct KnownScript {
    Location where;
    const VrrpScript* script;  // null: it cannot be used
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

  template <class T>
  static const T* find_running(const std::vector<std::shared_ptr<const T>>& running, const std::string& name) {
    const auto found = std::ranges::find(running, name, [](const auto& value) { return value->name; });
    return found == running.end() ? nullptr : found->get();
  }

  void take_script(const VrrpSource& source, const DeclaredScript& declared) {
    const Location where = locate(*source.fragment, declared.at);
    const VrrpScript* script = &declared.script;
    if (declared.unusable) script = find_running(running_.scripts, declared.script.name);
    const auto [known, is_new] = scripts_.try_emplace(declared.script.name, KnownScript{where, script});
    if (!is_new) {
      report(Severity::error, where,
             fmt::format("vrrp_script {} is defined twice, first in {}, the first counts: rename or remove one",
                         printable(declared.script.name), shown(known->second.where)));
      return;
    }
    if (script == nullptr) return;
    if (declared.unusable)
      report(Severity::error, where,
             fmt::format("vrrp_script {} stays as it runs until this is mended: its last good form",
                         printable(declared.script.name)));
    side_.scripts.push_back(*script);
  }

  void take_instance(const VrrpSource& source, const DeclaredInstance& declared) {
    const Location where = locate(*source.fragment, declared.name_at);
    const auto [known, is_new] = instances_.try_emplace(declared.name, where);
    if (!is_new) {
      report(Severity::error, where,
             fmt::format("vrrp_instance {} is defined twice, first in {}, the first counts: rename or remove one",
                         printable(declared.name), shown(known->second)));
      return;
    }
    std::optional<VrrpInstance> instance;
    if (!declared.unusable) {
      Findings findings;
      instance = resolve_instance(findings, declared, globals_);
      for (const Finding& finding : findings.list()) side_.problems.push_back(locate(*source.fragment, finding));
    }
    resolve_scripts(source, declared, instance);
    if (instance && !is_free(*instance, locate(*source.fragment, declared.vrid->at))) instance.reset();
    if (instance) {
      check_addresses(source, declared, *instance);
    } else {
      instance = last_good(declared.name, where);
    }
    if (!instance) return;
    routers_[{instance->interface, instance->vrid}].push_back({side_.instances.size(), where});
    side_.instances.push_back(std::move(*instance));
  }

  // What runs under the name of an instance that cannot be used: a mistake in a text takes no address off a host.
  std::optional<VrrpInstance> last_good(const std::string& name, const Location& where) {
    const VrrpInstance* running = find_running(running_.instances, name);
    if (running == nullptr) return std::nullopt;
    std::optional<VrrpInstance> instance = *running;
    std::erase_if(instance->track_scripts, [&](const TrackedScript& tracked) {
      const auto known = scripts_.find(tracked.script);
      if (known != scripts_.end() && known->second.script != nullptr) {
        known->second.used = true;
        return false;
      }
      report(Severity::error, where,
             fmt::format("track_script '{}' of the vrrp_instance {} that runs is left out: it is "
                         "not defined any more",
                         printable(tracked.script), printable(name)));
      return true;
    });
    if (!is_free(*instance, where)) return std::nullopt;
    report(
        Severity::error, where,
        fmt::format("vrrp_instance {} stays as it runs until this is mended: its last good form, virtual_router_id {} "
                    "on {}",
                    printable(name), instance->vrid, printable(instance->interface)));
    for (const auto* list : {&instance->addresses, &instance->excluded_addresses}) {
      for (const VirtualAddress& address : *list)
        holders_.try_emplace({address.prefix.address, address.interface}, name);
    }
    return instance;
  }

  // Also for an instance that cannot run: its scripts are used, and its mistakes are mistakes.
  void resolve_scripts(const VrrpSource& source, const DeclaredInstance& declared,
                       std::optional<VrrpInstance>& instance) {
    std::set<std::string> seen;
    for (const auto& [tracked, at] : declared.track_scripts) {
      const auto known = scripts_.find(tracked.script);
      if (known == scripts_.end() || known->second.script == nullptr) {
        const std::string script = printable(tracked.script);
        const std::string cause = known == scripts_.end()
                                      ? fmt::format("it is not defined, add 'vrrp_script {} {{ ... }}'", script)
                                      : fmt::format("vrrp_script {} cannot be used", script);
        report(Severity::error, locate(*source.fragment, at),
               fmt::format("track_script '{}' in vrrp_instance {} is left out: {}", script, printable(declared.name),
                           cause));
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

  // Whether no instance taken so far could take its ADVERTISEMENTS for its own, nor it theirs; else `at` is reported.
  bool is_free(const VrrpInstance& instance, const Location& at) {
    for (const Router& other : routers_[{instance.interface, instance.vrid}]) {
      const VrrpInstance& first = side_.instances[other.instance];
      if (!hear_each_other(first, instance)) continue;
      report(
          Severity::error, at,
          fmt::format("virtual_router_id {} on {} is taken by vrrp_instance {} in {}, {} is left out: choose another",
                      instance.vrid, printable(instance.interface), printable(first.name), shown(other.where),
                      printable(instance.name)));
      return false;
    }
    return true;
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

  std::vector<VrrpSource> sources_;  // in the order of lines
  const RunningVrrp& running_;
  VrrpSide side_;
  DeclaredGlobals globals_;
  std::map<std::string, KnownScript> scripts_;
  std::map<std::string, Location> instances_;
  std::map<std::pair<std::string, std::uint8_t>, std::vector<Router>> routers_;
  std::map<std::pair<IpAddress, std::string>, std::string> holders_;
};

}  // namespace

VrrpSide resolve_vrrp(std::vector<VrrpSource> sources, const RunningVrrp& running) {
  return VrrpResolver(std::move(sources), running).resolve();
}

}  // namespace vipkeeper::config
