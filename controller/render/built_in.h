#pragma once

#include <string_view>

// The files of templates/ as they were when the program was built.
namespace vipkeeper::render {

extern const std::string_view built_in_globals;
extern const std::string_view built_in_vrrp_instance;
extern const std::string_view built_in_virtual_server;

}  // namespace vipkeeper::render
