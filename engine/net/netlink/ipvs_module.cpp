#include "engine/net/netlink/ipvs_module.h"

#include <atomic>
#include <chrono>

#include "engine/net/command.h"

namespace vipkeeper::net {
namespace {

// Loading takes a second at most, where it works. The programming thread waits for it, and has checks to do as well.
constexpr auto patience = std::chrono::seconds(5);

}  // namespace

bool load_ipvs_module_once() {
  static std::atomic_flag tried;
  return !tried.test_and_set() && run_command({"/sbin/modprobe", "-q", "ip_vs"}, {}, patience).has_value();
}

}  // namespace vipkeeper::net
