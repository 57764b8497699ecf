#include "engine/run/vrrp/router_status.h"

#include <string>
#include <utility>

#include "engine/config/router_id.h"
#include "engine/router/observation.h"

namespace vipkeeper::run {
namespace {

constexpr std::size_t transitions_kept = 32;
constexpr Duration problems_interval = std::chrono::milliseconds(200);

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

RouterPublisher::RouterPublisher(net::EventLoop& loop, router::Station& station)
    : loop_(loop), station_(station), later_(loop, [this] { publish(); }), problems_later_(loop, [] {}) {
  published_.publish(std::make_shared<const std::vector<PublishedRouter>>());
  problems_.publish(std::make_shared<const std::vector<status::Problem>>());
}

void RouterPublisher::note(const router::Changed& changed) {
  Shown& shown = shown_[changed.router];
  const auto& [from, to, reason, priority] = changed.transition;
  shown.since = std::chrono::system_clock::now();
  shown.transitions.push_back({shown.since, std::string(to_string(from)), std::string(to_string(to)), reason});
  if (shown.transitions.size() > transitions_kept) shown.transitions.pop_front();
}

void RouterPublisher::turn_ended() {
  for (const auto number : station_.take_told()) {
    if (station_.has(number)) shown_[number].counters->store(station_.agent(number).counters());
  }
  changed_.merge(station_.take_changed());
  if (!changed_.empty()) publish();
  publish_problems();
}

void RouterPublisher::publish() {
  const TimePoint begin = Clock::now();
  if (begin < not_before_) {
    if (!later_.armed()) later_.arm(not_before_);
    return;
  }
  changed_.merge(station_.take_changed());
  const std::set<router::RouterNumber> there(station_.routers().begin(), station_.routers().end());
  std::erase_if(shown_, [&](const auto& entry) { return !there.contains(entry.first); });
  auto routers = std::make_shared<std::vector<PublishedRouter>>();
  for (const auto number : station_.routers()) {
    Shown& shown = shown_[number];
    if (shown.since == WallTime{}) shown.since = std::chrono::system_clock::now();
    if (shown.status == nullptr || changed_.contains(number)) {
      shown.status = std::make_shared<const status::VirtualRouterStatus>(describe(number, shown));
    }
    routers->push_back({shown.status, shown.counters});
  }
  changed_.clear();
  published_.publish(std::move(routers));
  const Duration cost = Clock::now() - begin;
  not_before_ = cost < std::chrono::microseconds(200) ? TimePoint{} : begin + 20 * cost;
}

void RouterPublisher::publish_problems() {
  const TimePoint now = loop_.now();
  if (now < problems_not_before_) {
    if (!problems_later_.armed()) problems_later_.arm(problems_not_before_);
    return;
  }
  problems_not_before_ = now + problems_interval;
  std::vector<status::Problem> problems;
  for (auto& problem : station_.problems()) {
    problems.push_back({problem.error, std::move(problem.object), std::move(problem.message)});
  }
  if (problems == *problems_.get()) return;
  problems_.publish(std::make_shared<const std::vector<status::Problem>>(std::move(problems)));
}

std::vector<status::VirtualRouterStatus> RouterPublisher::status() const {
  const auto routers = published_.get();
  std::vector<status::VirtualRouterStatus> result;
  result.reserve(routers->size());
  for (const auto& router : *routers) {
    result.push_back(*router.status);
    result.back().counters = router.counters->read();
  }
  return result;
}

// Without counters.
status::VirtualRouterStatus RouterPublisher::describe(router::RouterNumber number, const Shown& shown) const {
  const router::Agent& agent = station_.agent(number);
  const config::VrrpInstance& instance = agent.instance();
  status::VirtualRouterStatus result;
  result.name = instance.name;
  result.vrid = instance.vrid;
  result.family = config::family_of(instance);
  result.version = instance.version;
  result.interface = instance.interface;
  result.state = std::string(to_string(agent.state()));
  result.since = shown.since;
  result.priority = instance.priority;
  result.effective_priority = agent.effective_priority();
  result.advert_interval_seconds = std::chrono::duration<double>(instance.advert_interval).count();
  if (const auto active = agent.active_router()) result.active_router = active->to_string();
  const auto present = station_.present(number);
  std::size_t place = 0;
  for (const auto& address : router::host_addresses(instance)) {
    result.addresses.push_back({address.prefix.to_string(), address.interface, present[place++]});
  }
  result.transitions.assign(shown.transitions.begin(), shown.transitions.end());
  return result;
}

}  // namespace vipkeeper::run
