#include "engine/run/router_status.h"

#include <string>

#include "engine/config/router_id.h"
#include "engine/router/observation.h"

namespace vipkeeper::run {
namespace {

constexpr std::size_t transitions_kept = 32;

void put(std::atomic<std::uint64_t>& to, std::uint64_t value) { to.store(value, std::memory_order_relaxed); }
std::uint64_t get(const std::atomic<std::uint64_t>& from) { return from.load(std::memory_order_relaxed); }

}  // namespace

void SharedCounters::store(const router::AgentCounters& counters) {
  put(adverts_received_, counters.adverts_received);
  put(adverts_sent_, counters.adverts_sent);
  put(became_master_, counters.became_master);
  put(released_master_, counters.released_master);
  put(priority_zero_received_, counters.priority_zero_received);
  put(priority_zero_sent_, counters.priority_zero_sent);
  for (std::size_t reason = 0; reason < discarded_.size(); ++reason) {
    put(discarded_.at(reason), counters.discarded.at(reason));
  }
}

status::VrrpCounters SharedCounters::read() const {
  status::VrrpCounters result;
  result.adverts_received = get(adverts_received_);
  result.adverts_sent = get(adverts_sent_);
  result.became_master = get(became_master_);
  result.released_master = get(released_master_);
  result.priority_zero_received = get(priority_zero_received_);
  result.priority_zero_sent = get(priority_zero_sent_);
  for (std::size_t reason = 0; reason < discarded_.size(); ++reason) {
    result.discarded[std::string(to_string(static_cast<vrrp::DropReason>(reason)))] = get(discarded_.at(reason));
  }
  return result;
}

void RouterHistory::note(const router::Transition& transition, WallTime at) {
  since = at;
  transitions.push_back(
      {at, std::string(to_string(transition.from)), std::string(to_string(transition.to)), transition.reason});
  if (transitions.size() > transitions_kept) transitions.pop_front();
}

status::VirtualRouterStatus describe(const router::Station& station, router::RouterNumber number,
                                     const RouterHistory& history) {
  const router::Agent& agent = station.agent(number);
  const config::VrrpInstance& instance = agent.instance();
  status::VirtualRouterStatus result;
  result.name = instance.name;
  result.vrid = instance.vrid;
  result.family = config::family_of(instance);
  result.version = instance.version;
  result.interface = instance.interface;
  result.state = std::string(to_string(agent.state()));
  result.since = history.since;
  result.priority = instance.priority;
  result.effective_priority = agent.effective_priority();
  result.advert_interval_seconds = std::chrono::duration<double>(instance.advert_interval).count();
  if (const auto active = agent.active_router()) result.active_router = active->to_string();
  const auto present = station.present(number);
  std::size_t place = 0;
  for (const auto& address : router::host_addresses(instance)) {
    result.addresses.push_back({address.prefix.to_string(), address.interface, present[place++]});
  }
  result.transitions.assign(history.transitions.begin(), history.transitions.end());
  return result;
}

}  // namespace vipkeeper::run
