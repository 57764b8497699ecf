#pragma once

#include <chrono>

namespace vipkeeper {

// Timers and deadlines everywhere; never wall-clock time, which an operator may step. Pure code gets a TimePoint as an
// argument; only loops read the clock, once a turn.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

// Shown to people (RFC 3339), never computed with.
using WallTime = std::chrono::system_clock::time_point;

}  // namespace vipkeeper
