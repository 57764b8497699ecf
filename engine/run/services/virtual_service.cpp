#include "engine/run/services/virtual_service.h"

#include <algorithm>
#include <functional>
#include <string>

namespace vipkeeper::run {
namespace {

std::string masquerade_word(config::Masquerade masquerade) {
  switch (masquerade) {
    case config::Masquerade::never:
      return "never";
    case config::Masquerade::automatic:
      return "auto";
    case config::Masquerade::always:
      return "always";
  }
  return "never";
}

bool is_unchecked_drain(const config::RealServer& real) { return real.weight == 0 && real.checks.empty(); }

ipvs::ServiceEntry build_entry(const config::VirtualServer& server,
                               const std::function<bool(const config::RealServer&)>& alive) {
  ipvs::ServiceEntry entry;
  entry.service = ipvs::normalized(service_key(server.key), {server.scheduler, server.scheduler_flags,
                                                             server.persistence_seconds, server.persistence_prefix});
  for (const config::RealServer& real : server.real_servers) {
    const bool is_up = alive(real);
    if (!is_up && !real.inhibit_on_failure) continue;
    entry.destinations.try_emplace(
        destination_key(server, real),
        ipvs::Destination{is_up ? real.weight : 0, real.method, real.upper_threshold, real.lower_threshold});
  }
  return entry;
}

status::RealServerStatus real_server_status(const config::VirtualServer& server, const config::RealServer& real,
                                            const check::Schedule& checks, const Missed& missed) {
  const ipvs::DestinationKey key = destination_key(server, real);
  status::RealServerStatus result;
  result.address = key.address.to_string();
  result.port = key.port;
  result.method = to_string(real.method);
  result.alive = is_alive(server, real, checks) && !missed.contains(key);
  result.weight = result.alive || !real.inhibit_on_failure ? real.weight : 0;
  result.draining = real.weight == 0;
  for (const config::TcpCheck& check : real.checks) {
    if (!result.check.empty()) result.check += "; ";
    result.check += checks.text(check_target(real, check));
  }
  return result;
}

}  // namespace

ipvs::ServiceKey service_key(const config::VirtualServerKey& key) { return ipvs::normalized(key); }

ipvs::DestinationKey destination_key(const config::VirtualServer& server, const config::RealServer& real) {
  const bool port_is_kept = real.method != config::ForwardingMethod::masquerade && server.key.fwmark == 0;
  return {real.address, port_is_kept ? server.key.port : real.port};
}

check::Target check_target(const config::RealServer& real, const config::TcpCheck& check) {
  return {check.connect_address.value_or(real.address),
          check.connect_port,
          check.connect_timeout,
          check.interval,
          check.delay_before_retry,
          check.retry};
}

bool is_alive(const config::VirtualServer& server, const config::RealServer& real, const check::Schedule& checks) {
  return std::ranges::all_of(real.checks, [&](const config::TcpCheck& check) {
    const check::Health health = checks.health(check_target(real, check));
    return health == check::Health::unknown ? !server.alpha : health == check::Health::alive;
  });
}

Missed missed_drains(const config::VirtualServer& server, const config::VirtualServer* previous, const Missed& missed,
                     const check::Schedule& checks) {
  Missed result;
  if (previous == nullptr) return result;
  // With inhibit_on_failure a dead one stays in the kernel, with weight 0 as one that drains.
  for (const config::RealServer& real : server.real_servers)
    if (is_unchecked_drain(real) && !real.inhibit_on_failure) result.insert(destination_key(server, real));
  if (result.empty()) return result;
  Missed dead;
  for (const config::RealServer& real : previous->real_servers) {
    const ipvs::DestinationKey key = destination_key(*previous, real);
    if (missed.contains(key) || (!real.inhibit_on_failure && !is_alive(*previous, real, checks))) dead.insert(key);
  }
  std::erase_if(result, [&](const ipvs::DestinationKey& key) { return !dead.contains(key); });
  return result;
}

ipvs::ServiceEntry desired_entry(const config::VirtualServer& server, const check::Schedule& checks,
                                 const Missed& missed) {
  return build_entry(server, [&](const config::RealServer& real) {
    return is_alive(server, real, checks) && !missed.contains(destination_key(server, real));
  });
}

ipvs::ServiceEntry desired_entry(const config::VirtualServer& server) {
  return build_entry(server, [](const config::RealServer&) { return true; });
}

bool has_quorum(const config::VirtualServer& server, const check::Schedule& checks, bool was_up) {
  std::int64_t total = 0, alive = 0;
  for (const config::RealServer& real : server.real_servers) {
    total += real.weight;
    if (is_alive(server, real, checks)) alive += real.weight;
  }
  const std::int64_t quorum = std::min<std::int64_t>(server.quorum, total);
  const std::int64_t hysteresis = server.hysteresis;
  const std::int64_t needed = was_up ? quorum - hysteresis : std::min(quorum + hysteresis, total);
  return alive > 0 && alive >= needed;
}

status::VirtualServiceStatus service_status(const config::VirtualServer& server, const check::Schedule& checks,
                                            bool quorum_up, const Missed& missed) {
  const ipvs::ServiceKey key = service_key(server.key);
  status::VirtualServiceStatus result;
  if (key.fwmark == 0) {
    result.protocol = to_string(key.protocol);
    result.address = key.address.to_string();
    result.port = key.port;
  }
  result.fwmark = key.fwmark;
  result.scheduler = server.scheduler;
  result.persistence_seconds = server.persistence_seconds;
  result.masquerade = masquerade_word(server.masquerade);
  result.service = server.comment;
  result.quorum_up = quorum_up;
  result.real_servers.reserve(server.real_servers.size());
  for (const config::RealServer& real : server.real_servers)
    result.real_servers.push_back(real_server_status(server, real, checks, missed));
  return result;
}

void add_stats(std::span<status::VirtualServiceStatus> services,
               const std::map<ipvs::ServiceKey, ipvs::ServiceStats>& stats) {
  for (status::VirtualServiceStatus& service : services) {
    // A fwmark's family is not in the status: IPv4 is asked for first.
    ipvs::ServiceKey key;
    key.fwmark = service.fwmark;
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
      if (service.protocol == to_string(protocol)) key.protocol = protocol;
    if (const auto address = IpAddress::parse(service.address)) key.address = *address;
    key.port = static_cast<std::uint16_t>(service.port);
    auto found = stats.find(ipvs::normalized(key));
    if (found == stats.end() && key.fwmark != 0) {
      key.family = Family::ipv6;
      found = stats.find(ipvs::normalized(key));
    }
    if (found == stats.end()) continue;
    service.connections = found->second.connections;
    service.bytes_in = found->second.bytes_in;
    service.bytes_out = found->second.bytes_out;
    for (status::RealServerStatus& real : service.real_servers) {
      const auto address = IpAddress::parse(real.address);
      if (!address) continue;
      const auto counters = found->second.destinations.find({*address, static_cast<std::uint16_t>(real.port)});
      if (counters == found->second.destinations.end()) continue;
      real.active_connections = counters->second.active_connections;
      real.inactive_connections = counters->second.inactive_connections;
    }
  }
}

}  // namespace vipkeeper::run
