#include "engine/host/address_announcements.h"

#include <algorithm>

namespace vipkeeper::host {
namespace {

// Frames a second and link, and how many at once: five rounds of two hundred addresses leave in one go, ten thousand
// addresses take twenty seconds for their repetitions.
constexpr double pace = 2000;
constexpr double burst = 1000;
// So many are sent in one go, rather than one each half millisecond.
constexpr double batch = 32;
// The link's queue was full.
constexpr auto full_pause = std::chrono::milliseconds(10);

}  // namespace

AddressAnnouncements::OnLink& AddressAnnouncements::on_link(int link_index) {
  return links_.try_emplace(link_index, OnLink{{}, {}, {}, burst, TimePoint{}}).first->second;
}

void AddressAnnouncements::want(int link_index, const IpAddress& address, unsigned times, bool came) {
  if (times == 0) return;
  OnLink& link = on_link(link_index);
  const auto [place, is_new] = link.left.try_emplace(address, times);
  if (is_new) {
    (came ? link.first : link.again).push_back(address);
  } else {
    place->second = std::max(place->second, times);
  }
}

void AddressAnnouncements::drop(int link_index, const IpAddress& address) {
  const auto link = links_.find(link_index);
  if (link != links_.end()) link->second.left.erase(address);
}

void AddressAnnouncements::fill(OnLink& link, TimePoint now) {
  if (now <= link.filled) return;
  const std::chrono::duration<double> passed = now - link.filled;
  link.tokens = std::min(burst, link.tokens + passed.count() * pace);
  link.filled = now;
}

void AddressAnnouncements::take(OnLink& link, std::deque<IpAddress>& queue, bool paced, std::size_t budget,
                                std::vector<IpAddress>& result) {
  while (!queue.empty() && result.size() < budget && (!paced || link.tokens >= 1)) {
    const IpAddress address = queue.front();
    queue.pop_front();
    const auto left = link.left.find(address);
    if (left == link.left.end()) continue;
    link.tokens = std::max(link.tokens - 1, -burst);
    result.push_back(address);
    if (--left->second == 0) {
      link.left.erase(left);
    } else {
      link.again.push_back(address);
    }
  }
}

std::map<int, std::vector<IpAddress>> AddressAnnouncements::next(TimePoint now, std::size_t budget) {
  std::map<int, std::vector<IpAddress>> result;
  for (auto& [index, link] : links_) {
    if (budget == 0) break;
    if (now < link.not_before || link.left.empty()) continue;
    fill(link, now);
    std::vector<IpAddress> addresses;
    take(link, link.first, false, budget, addresses);
    take(link, link.again, true, budget, addresses);
    if (addresses.empty()) continue;
    budget -= addresses.size();
    result.emplace(index, std::move(addresses));
  }
  // A link with nothing to say is forgotten when its pace has recovered.
  for (auto link = links_.begin(); link != links_.end();) {
    fill(link->second, now);
    const bool idle = link->second.left.empty() && link->second.tokens >= burst;
    link = idle ? links_.erase(link) : std::next(link);
  }
  return result;
}

void AddressAnnouncements::unsent(TimePoint now, int link_index, const std::vector<IpAddress>& addresses) {
  OnLink& link = on_link(link_index);
  link.not_before = now + full_pause;
  for (const auto& address : addresses) {
    const auto [place, is_new] = link.left.try_emplace(address, 0);
    ++place->second;
    if (is_new) link.first.push_back(address);
  }
}

// When a link that something waits on has its turn.
TimePoint AddressAnnouncements::time_of(const OnLink& link) {
  if (!link.first.empty() || link.tokens >= 1) return link.not_before;
  const double wanted = std::min(batch, static_cast<double>(link.left.size()));
  const std::chrono::duration<double> wait((wanted - link.tokens) / pace);
  return std::max(link.not_before, link.filled + std::chrono::ceil<Duration>(wait));
}

std::optional<TimePoint> AddressAnnouncements::next_time() const {
  std::optional<TimePoint> soonest;
  for (const auto& [index, link] : links_) {
    if (link.left.empty()) continue;
    const TimePoint at = time_of(link);
    if (!soonest || at < *soonest) soonest = at;
  }
  return soonest;
}

}  // namespace vipkeeper::host
