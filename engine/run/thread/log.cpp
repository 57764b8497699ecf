#include "engine/run/thread/log.h"

#include <spdlog/spdlog.h>

namespace vipkeeper::run {
namespace {

constexpr auto quiet_time = std::chrono::minutes(1);
// Classes may hold a peer's address; that many at most are remembered.
constexpr std::size_t most_classes = 256;

}  // namespace

void log_info(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::info, line); }
void log_warning(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::warn, line); }
void log_error(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::err, line); }
void log_detail(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::debug, line); }

std::optional<unsigned> LogLimiter::admit(TimePoint now, std::string_view kind) {
  auto entry = entries_.find(kind);
  if (entry == entries_.end()) {
    if (entries_.size() >= most_classes) entries_.clear();
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

}  // namespace vipkeeper::run
