#include "engine/ipvs/agenda.h"

namespace vipkeeper::ipvs {

std::vector<ServiceKey> due_keys(const Agenda& agenda, TimePoint now) {
  std::vector<ServiceKey> result;
  for (const auto& [time, key] : agenda) {
    if (time > now) break;
    result.push_back(*key);
  }
  return result;
}

bool more_due_than(const Agenda& agenda, TimePoint now, std::size_t count) {
  for (const auto& [time, key] : agenda) {
    if (time > now) return false;
    if (count-- == 0) return true;
  }
  return false;
}

}  // namespace vipkeeper::ipvs
