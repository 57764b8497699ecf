#include "engine/run/thread/realtime.h"

#include <sched.h>

#include <catch2/catch.hpp>
#include <thread>

using vipkeeper::run::become_realtime;

// On a thread of its own, so that the rest of the tests runs as before.
template <class Act>
int policy_after(Act act) {
  int policy = -1;
  std::thread([&] {
    act();
    policy = ::sched_getscheduler(0);
  }).join();
  return policy;
}

TEST_CASE("without the right to it a thread is scheduled as before, and goes on", "[run][realtime]") {
  CHECK(policy_after([] { become_realtime(50, true); }) == SCHED_OTHER);
}

TEST_CASE("no priority asked for leaves alone what an operator has set", "[run][realtime]") {
  CHECK(policy_after([] {
          const sched_param parameters{};
          if (::sched_setscheduler(0, SCHED_BATCH, &parameters) == 0) become_realtime(0, false);
        }) == SCHED_BATCH);
}
