#include "engine/net/command.h"

#include <catch2/catch.hpp>
#include <csignal>

namespace vipkeeper::net {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a program gets its input and its output is returned", "[net][command]") {
  const auto said = run_command({"cat"}, "to and fro", 20s);
  REQUIRE(said);
  CHECK(*said == "to and fro");
}

TEST_CASE("a program is run with no signal blocked, whatever the thread that runs it blocks", "[net][command]") {
  sigset_t all, before;
  sigfillset(&all);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
  const auto said = run_command({"sed", "-n", "s/^SigBlk:[[:space:]]*//p", "/proc/self/status"}, {}, 20s);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  REQUIRE(said);
  CHECK(*said == "0000000000000000\n");
}

TEST_CASE("a program that does not end is killed when its time is over", "[net][command]") {
  const TimePoint start = Clock::now();
  const auto said = run_command({"sleep", "600"}, {}, 0s);
  REQUIRE_FALSE(said);
  CHECK(said.error().code == ErrorCode::unavailable);
  CHECK(Clock::now() - start < 60s);
}

TEST_CASE("a program that fails, and one that is not there, say so", "[net][command]") {
  const auto failed = run_command({"sh", "-c", "echo first >&2; echo second >&2; exit 3"}, {}, 20s);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::io);
  CHECK(failed.error().message == "sh: first");
  const auto none = run_command({"/no/such/program"}, {}, 20s);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::unsupported);
}

}  // namespace
}  // namespace vipkeeper::net
