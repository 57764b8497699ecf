#pragma once

#include <string_view>

namespace vipkeeper::cmd {

// The release, from CMake's project(VERSION).
inline constexpr std::string_view version_text = VIPKEEPER_VERSION;

}  // namespace vipkeeper::cmd
