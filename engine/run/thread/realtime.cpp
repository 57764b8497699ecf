#include "engine/run/thread/realtime.h"

#include <sched.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "engine/run/thread/log.h"

namespace vipkeeper::run {
namespace {

// Children (there are none of this thread's) would not inherit it, and it tells ours from what an operator set.
constexpr int our_policy = SCHED_RR | SCHED_RESET_ON_FORK;

void set_priority(int priority) {
  const int policy = ::sched_getscheduler(0);
  sched_param parameters{};
  ::sched_getparam(0, &parameters);
  const bool is_ours = policy == our_policy;
  if (priority == 0 ? !is_ours : is_ours && parameters.sched_priority == priority) return;
  parameters.sched_priority = priority;
  const int wanted = priority == 0 ? SCHED_OTHER | SCHED_RESET_ON_FORK : our_policy;
  if (::sched_setscheduler(0, wanted, &parameters) == 0) return;
  log_warning(std::string("no real-time scheduling for VRRP: ") + std::strerror(errno) +
              "; add SYS_NICE to the capabilities, or take vrrp_rt_priority out");
}

// The stack that this thread will need, so that it is there and is locked with the rest.
void touch_stack() {
  constexpr std::size_t page = 4096;
  std::array<volatile char, 64 * page> stack;
  for (std::size_t i = 0; i < stack.size(); i += page) stack[i] = 0;
}

// Not MCL_FUTURE: it would make every thread that starts later resident with its whole stack, those of HTTP and of the
// API server's client as well, and the first one that the limit does not let pass would fail. MCL_ONFAULT for the same
// reason: of the stacks and arenas that are mapped, only what is used is kept.
void set_memory(bool locked) {
  static std::atomic<bool> was_locked{false};
  if (!locked) {
    if (was_locked.exchange(false)) ::munlockall();
    return;
  }
  touch_stack();
  if (::mlockall(MCL_CURRENT | MCL_ONFAULT) == 0) {
    was_locked = true;
    return;
  }
  log_warning(std::string("cannot lock memory: ") + std::strerror(errno) +
              "; add IPC_LOCK to the capabilities, or take vrrp_no_swap out");
}

}  // namespace

void become_realtime(int priority, bool lock_memory) {
  set_memory(lock_memory);
  set_priority(priority);
}

}  // namespace vipkeeper::run
