#include "engine/run/thread/log.h"

#include <spdlog/spdlog.h>

namespace vipkeeper::run {
void log_info(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::info, line); }
void log_warning(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::warn, line); }
void log_error(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::err, line); }
void log_detail(std::string_view line) { spdlog::default_logger_raw()->log(spdlog::level::debug, line); }

}  // namespace vipkeeper::run
