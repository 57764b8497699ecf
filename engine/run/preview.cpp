#include "engine/run/preview.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "engine/config/configuration.h"
#include "engine/ipvs/planner.h"
#include "engine/net/netlink/ipvs_netlink.h"
#include "engine/net/netlink/kernel_host.h"
#include "engine/run/record/ownership.h"
#include "engine/run/services/return_path_loop.h"
#include "engine/run/services/virtual_service.h"

namespace vipkeeper::run {

namespace {

using OwnAddresses = std::set<OwnedAddress>;

// The addresses this host shall hold now: those of its Active Routers.
OwnAddresses desired_addresses(const config::ConfigDelta& configuration, const RunningInstance& running) {
  OwnAddresses result;
  for (const auto& instance : configuration.instances) {
    if (!running.active_routers.contains(instance->name)) continue;
    for (const auto& address : instance->addresses) result.insert({address.prefix, address.interface});
    for (const auto& address : instance->excluded_addresses) result.insert({address.prefix, address.interface});
  }
  return result;
}

void preview_addresses(const config::ConfigDelta& configuration, const Ownership& ownership,
                       const RunningInstance& running, Preview& result) {
  const auto network = net::read_network();
  if (!network) {
    result.errors.push_back(network.error().message);
    return;
  }
  OwnAddresses present;
  for (const auto& [key, address] : network->addresses()) {
    if (const auto* link = network->find_link(key.index)) present.insert({key.prefix, link->name});
  }
  const OwnAddresses desired = desired_addresses(configuration, running);
  for (const OwnedAddress& address : ownership.addresses()) {
    if (desired.contains(address) || !present.contains(address)) continue;
    result.operations.push_back(
        fmt::format("delete address {} from {}", address.prefix.to_string(), address.interface));
  }
  for (const OwnedAddress& address : desired) {
    if (present.contains(address)) continue;
    result.operations.push_back(fmt::format("add address {} to {}", address.prefix.to_string(), address.interface));
  }
}

ipvs::Table desired_table(const config::ConfigDelta& configuration, const RunningInstance& running) {
  ipvs::Table result;
  for (const auto& [key, server] : configuration.virtual_servers) {
    if (!server) continue;
    ipvs::ServiceEntry entry = desired_entry(*server);
    // The status does not say of which family a fwmark is.
    const std::string name = key.fwmark != 0 ? fmt::format("fwmark {}", key.fwmark) : key.to_string();
    for (const auto& real : server->real_servers) {
      const ipvs::DestinationKey destination = destination_key(*server, real);
      if (!running.dead_real_servers.contains({name, destination.to_string()})) continue;
      if (real.inhibit_on_failure) {
        entry.destinations[destination].weight = 0;
      } else {
        entry.destinations.erase(destination);
      }
    }
    result[service_key(key)] = std::move(entry);
  }
  return result;
}

void preview_ipvs(const config::ConfigDelta& configuration, const Ownership& ownership, const RunningInstance& running,
                  Preview& result) {
  const ipvs::Table desired = desired_table(configuration, running);
  const auto own = ownership.services();
  if (desired.empty() && own.empty()) return;
  net::IpvsNetlink kernel(false);
  auto actual = kernel.read();
  if (!actual) {
    result.errors.push_back(actual.error().message);
    return;
  }
  // Foreign services are nobody's business here.
  std::erase_if(*actual,
                [&](const auto& entry) { return !desired.contains(entry.first) && !own.contains(entry.first); });
  for (const ipvs::Operation& operation : ipvs::plan(*actual, desired)) {
    result.operations.push_back(to_string(operation));
  }
}

// The rules as one of the ways has them; whichever is in use. Nothing there: as if none were.
Result<return_path::FamilyRules> present_rules(const ReturnPathDoors& doors, Family family) {
  return_path::FamilyRules none;
  for (const auto& way : doors.ways) {
    auto rules = way->read(family);
    if (!rules) return rules;
    if (rules->scaffold == return_path::Scaffold::absent) continue;
    // Only the running instance knows its own chains to the letter; it puts them right by itself.
    rules->scaffold = return_path::Scaffold::right;
    return rules;
  }
  return none;
}

void preview_return_path(const config::ConfigDelta& configuration, const std::string& run_dir, Preview& result) {
  const ReturnPathDoors doors = kernel_return_path(run_dir);
  const auto attached = doors.read_networks();
  if (!attached) {
    result.errors.push_back(attached.error().message);
    return;
  }
  auto desired = desired_rules(configuration.virtual_servers, *attached);
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto actual = present_rules(doors, family);
    if (!actual) {
      result.errors.push_back(actual.error().message);
      continue;
    }
    for (const auto& operation : return_path::plan(*actual, desired[family]))
      result.operations.push_back(to_string(family, operation));
  }
}

}  // namespace

Preview preview(const config::FragmentChange& text, const std::string& run_dir, const RunningInstance& running) {
  Preview result;
  config::Configuration configuration;
  const auto applied = configuration.apply(text);
  if (!applied) {
    for (const auto& problem : applied.error()) result.errors.push_back(problem.to_string());
    return result;
  }
  for (const auto& problem : applied->problems) result.problems.push_back(problem.to_string());
  const auto ownership = Ownership::open_read_only(run_dir);
  // What this run made and the record does not name is missing from what follows.
  for (const std::string& problem : ownership->problems()) result.errors.push_back(problem);
  preview_addresses(applied->delta, *ownership, running, result);
  preview_ipvs(applied->delta, *ownership, running, result);
  preview_return_path(applied->delta, run_dir, result);
  return result;
}

}  // namespace vipkeeper::run
