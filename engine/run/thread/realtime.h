#pragma once

namespace vipkeeper::run {

// For the calling thread, so that a busy host does not make its timers late (a peer would take over): `priority` 1..99:
// SCHED_RR with it; 0: as it was before this function changed it. `lock_memory`: what the process has mapped now is not
// paged out once it is there. What the kernel does not allow is one warning that names the capability.
//
// To be called with every configuration: what was mapped since is locked then, and what is so already is left alone.
void become_realtime(int priority, bool lock_memory);

}  // namespace vipkeeper::run
