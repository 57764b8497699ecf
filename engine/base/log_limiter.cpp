#include "engine/base/log_limiter.h"

namespace vipkeeper {
namespace {

constexpr auto quiet_time = std::chrono::minutes(1);
constexpr std::size_t most_classes = 4096;

}  // namespace

std::optional<unsigned> LogLimiter::admit(TimePoint now, std::string_view kind) {
  auto entry = entries_.find(kind);
  if (entry == entries_.end()) {
    if (entries_.size() >= most_classes) {
      std::erase_if(entries_, [&](const auto& old) { return old.second.next <= now; });
    }
    if (entries_.size() >= most_classes) return std::nullopt;
    entries_.emplace(std::string(kind), Entry{now + quiet_time, 0});
    return 0;
  }
  if (now < entry->second.next) {
    ++entry->second.held_back;
    return std::nullopt;
  }
  const unsigned held_back = entry->second.held_back;
  entry->second = {now + quiet_time, 0};
  return held_back;
}

std::string LogLimiter::suffix(unsigned held_back) {
  return held_back == 0 ? std::string() : " (" + std::to_string(held_back) + " more since the last such line)";
}

}  // namespace vipkeeper
