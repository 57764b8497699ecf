#pragma once

#include <string_view>

// Lines for the operator, from the threads of run. Only this module sees spdlog; the program's main() decides where the
// default logger writes, and should make that asynchronous: a pipe that nobody reads must not hold the VRRP thread.
namespace vipkeeper::run {

void log_info(std::string_view line);
void log_warning(std::string_view line);
void log_error(std::string_view line);
// keepalived writes these with -D only.
void log_detail(std::string_view line);

}  // namespace vipkeeper::run
