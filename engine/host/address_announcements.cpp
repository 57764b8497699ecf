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

void AddressAnnouncements::want(int link_index, const IpAddress& address, unsigned times, bool came) {
  if (times == 0) return;
  const Key key{link_index, address};
  const auto [place, is_new] = left_.try_emplace(key, times);
  if (is_new) {
    (came ? first_ : again_).push_back(key);
  } else {
    place->second = std::max(place->second, times);
  }
}

void AddressAnnouncements::drop(int link_index, const IpAddress& address) { left_.erase({link_index, address}); }

AddressAnnouncements::Pace& AddressAnnouncements::pace_of(TimePoint now, int link_index) {
  const auto [place, is_new] = paces_.try_emplace(link_index, Pace{burst, now, TimePoint{}});
  Pace& result = place->second;
  const double passed = std::chrono::duration<double>(now - result.filled).count();
  if (passed > 0) {
    result.tokens = std::min(burst, result.tokens + passed * pace);
    result.filled = now;
  }
  return result;
}

// Takes the first of the queue. False: it may not go yet.
bool AddressAnnouncements::take(std::deque<Key>& queue, TimePoint now, bool paced,
                                std::map<int, std::vector<IpAddress>>& result) {
  const Key key = queue.front();
  const auto left = left_.find(key);
  if (left == left_.end()) {  // dropped
    queue.pop_front();
    return true;
  }
  Pace& link = pace_of(now, key.first);
  if (now < link.not_before || (paced && link.tokens < 1)) return false;
  link.tokens = std::max(link.tokens - 1, -burst);
  queue.pop_front();
  result[key.first].push_back(key.second);
  if (--left->second == 0) {
    left_.erase(left);
  } else {
    again_.push_back(key);
  }
  return true;
}

std::map<int, std::vector<IpAddress>> AddressAnnouncements::next(TimePoint now, std::size_t budget) {
  std::map<int, std::vector<IpAddress>> result;
  for (auto* queue : {&first_, &again_}) {
    // One link that may send no more does not hold up those of another: what waits goes to the end, once around.
    std::set<int> blocked;
    for (std::size_t chances = queue->size(); chances > 0 && budget > 0 && !queue->empty(); --chances) {
      const int link = queue->front().first;
      if (!blocked.contains(link) && take(*queue, now, queue == &again_, result)) {
        --budget;
        if (queue == &again_) ++chances;  // it may have come back to the end
        continue;
      }
      blocked.insert(link);
      if (blocked.size() >= paces_.size()) break;
      queue->push_back(queue->front());
      queue->pop_front();
    }
  }
  return result;
}

void AddressAnnouncements::unsent(TimePoint now, int link_index, const std::vector<IpAddress>& addresses) {
  pace_of(now, link_index).not_before = now + full_pause;
  for (const auto& address : addresses) {
    const Key key{link_index, address};
    const auto [place, is_new] = left_.try_emplace(key, 0);
    ++place->second;
    if (is_new) first_.push_back(key);
  }
}

std::optional<TimePoint> AddressAnnouncements::next_time() const {
  std::optional<TimePoint> soonest;
  const auto consider = [&](const std::deque<Key>& queue, bool paced) {
    std::set<int> seen;
    for (const auto& [index, address] : queue) {
      if (!seen.insert(index).second) {
        if (seen.size() >= paces_.size()) break;
        continue;
      }
      TimePoint at{};
      if (const auto link = paces_.find(index); link != paces_.end()) {
        at = link->second.not_before;
        if (paced && link->second.tokens < 1) {
          const double wanted = std::min(batch, static_cast<double>(queue.size()));
          const std::chrono::duration<double> wait((wanted - link->second.tokens) / pace);
          at = std::max(at, link->second.filled + std::chrono::ceil<Duration>(wait));
        }
      }
      if (!soonest || at < *soonest) soonest = at;
    }
  };
  consider(first_, false);
  consider(again_, true);
  return soonest;
}

}  // namespace vipkeeper::host
