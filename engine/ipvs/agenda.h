#pragma once

#include <set>
#include <utility>
#include <vector>

#include "engine/base/clock.h"
#include "engine/ipvs/table.h"

namespace vipkeeper::ipvs {

// Names of services by the time at which something is to be done about them, and by name among those of one time. The
// names are somebody else's and outlive their places here.
struct EarlierFirst {
  using is_transparent = void;
  using Place = std::pair<TimePoint, const ServiceKey*>;
  bool operator()(const Place& a, const Place& b) const {
    return a.first != b.first ? a.first < b.first : *a.second < *b.second;
  }
  bool operator()(const Place& place, TimePoint time) const { return place.first < time; }
  bool operator()(TimePoint time, const Place& place) const { return time < place.first; }
};
using Agenda = std::set<EarlierFirst::Place, EarlierFirst>;

// What is due at `now`.
std::vector<ServiceKey> due_keys(const Agenda& agenda, TimePoint now);
// More than `count` are due; costs no more than that many.
bool more_due_than(const Agenda& agenda, TimePoint now, std::size_t count);

}  // namespace vipkeeper::ipvs
