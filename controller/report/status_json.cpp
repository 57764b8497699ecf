#include "controller/report/status_json.h"

#include <fmt/chrono.h>

#include <nlohmann/json.hpp>

namespace vipkeeper::report {

namespace {

// Field order is the contract's, so that people who read it raw find the same thing at the same place.
using Json = nlohmann::ordered_json;

Json time_or_null(WallTime time) { return time == WallTime{} ? Json(nullptr) : Json(rfc3339(time)); }

Json to_json(const status::ConfigStatus& config) {
  Json problems = Json::array();
  for (const auto& problem : config.problems) {
    problems.push_back(
        {{"severity", problem.error ? "error" : "warning"}, {"object", problem.object}, {"message", problem.message}});
  }
  return {{"generation", config.generation},
          {"applied_at", time_or_null(config.applied_at)},
          {"source", config.source},
          {"synced", config.synced},
          {"problems", std::move(problems)}};
}

Json to_json(const status::VrrpCounters& counters) {
  // The contract's reasons are always there, also at 0; others follow when they were seen.
  Json discarded = {{"ttl", 0},    {"checksum", 0}, {"version", 0},      {"vrid", 0},
                    {"length", 0}, {"auth", 0},     {"address_list", 0}, {"source", 0}};
  for (const auto& [reason, count] : counters.discarded) discarded[reason] = count;
  return {{"adverts_received", counters.adverts_received},
          {"adverts_sent", counters.adverts_sent},
          {"became_master", counters.became_master},
          {"released_master", counters.released_master},
          {"priority_zero_received", counters.priority_zero_received},
          {"priority_zero_sent", counters.priority_zero_sent},
          {"discarded", std::move(discarded)}};
}

Json to_json(const status::VirtualRouterStatus& router) {
  Json addresses = Json::array();
  for (const auto& address : router.addresses) {
    addresses.push_back({{"address", address.address}, {"interface", address.interface}, {"present", address.present}});
  }
  Json transitions = Json::array();
  for (const auto& transition : router.transitions) {
    transitions.push_back({{"at", rfc3339(transition.at)},
                           {"from", transition.from},
                           {"to", transition.to},
                           {"reason", transition.reason}});
  }
  return {{"name", router.name},
          {"vrid", router.vrid},
          {"family", to_string(router.family)},
          {"version", router.version},
          {"interface", router.interface},
          {"state", router.state},
          {"since", time_or_null(router.since)},
          {"priority", router.priority},
          {"effective_priority", router.effective_priority},
          {"advert_interval_seconds", router.advert_interval_seconds},
          {"active_router", router.active_router.empty() ? Json(nullptr) : Json(router.active_router)},
          {"addresses", std::move(addresses)},
          {"counters", to_json(router.counters)},
          {"transitions", std::move(transitions)}};
}

Json to_json(const status::VirtualServiceStatus& service) {
  Json real_servers = Json::array();
  for (const auto& server : service.real_servers) {
    real_servers.push_back({{"address", server.address},
                            {"port", server.port},
                            {"method", server.method},
                            {"weight", server.weight},
                            {"alive", server.alive},
                            {"draining", server.draining},
                            {"check", server.check.empty() ? Json(nullptr) : Json(server.check)},
                            {"active_connections", server.active_connections},
                            {"inactive_connections", server.inactive_connections}});
  }
  const bool fwmark = service.fwmark != 0;
  return {{"protocol", fwmark ? Json(nullptr) : Json(service.protocol)},
          {"address", fwmark ? Json(nullptr) : Json(service.address)},
          {"port", fwmark ? Json(nullptr) : Json(service.port)},
          {"fwmark", fwmark ? Json(service.fwmark) : Json(nullptr)},
          {"scheduler", service.scheduler},
          {"persistence_seconds", service.persistence_seconds},
          {"masquerade", service.masquerade},
          {"service", service.service.empty() ? Json(nullptr) : Json(service.service)},
          {"quorum_up", service.quorum_up},
          {"connections", service.connections},
          {"bytes_in", service.bytes_in},
          {"bytes_out", service.bytes_out},
          {"real_servers", std::move(real_servers)}};
}

Json to_json(const status::ReturnPathStatus& path) {
  return {{"way", path.way.empty() ? Json(nullptr) : Json(path.way)},
          {"services", path.services},
          {"networks", path.networks},
          {"in_place", path.in_place}};
}

}  // namespace

std::string rfc3339(WallTime time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(milliseconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (milliseconds - seconds).count());
}

std::string status_json(const status::Snapshot& snapshot) {
  Json routers = Json::array();
  for (const auto& router : snapshot.virtual_routers) routers.push_back(to_json(router));
  Json services = Json::array();
  for (const auto& service : snapshot.virtual_services) services.push_back(to_json(service));
  const Json all = {{"version", snapshot.version},
                    {"node", snapshot.node},
                    {"pid", snapshot.pid},
                    {"uptime_seconds", snapshot.uptime_seconds},
                    {"config", to_json(snapshot.config)},
                    {"virtual_routers", std::move(routers)},
                    {"virtual_services", std::move(services)},
                    {"return_path", to_json(snapshot.return_path)}};
  // A name from outside that is no UTF-8 must not cost the operator the whole answer.
  return all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vipkeeper::report
