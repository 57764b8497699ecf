#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "controller/kube/access.h"
#include "engine/base/clock.h"
#include "tests/controller/kube/source_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;

namespace {

// Appended for the processes that are started while it lives.
class SanitizerOption {
 public:
  SanitizerOption(const char* name, const std::string& option) : name_(name) {
    const char* const given = std::getenv(name);
    if (given != nullptr) before_ = given;
    ::setenv(name, (before_ + option).c_str(), 1);
  }
  ~SanitizerOption() { ::setenv(name_, before_.c_str(), 1); }
  SanitizerOption(const SanitizerOption&) = delete;
  SanitizerOption& operator=(const SanitizerOption&) = delete;

 private:
  const char* name_;
  std::string before_;
};

struct End {
  int status = -1;  // of waitpid
  Duration took{};  // from "ready" to the end
};

// Runs kube_once (once/once.cpp) to its end, at most 20 s.
End run_once(const std::string& mode, const std::string& kubeconfig) {
  // ThreadSanitizer would wait for a second at the end, in case that a race comes yet.
  const SanitizerOption no_sleep("TSAN_OPTIONS", ":atexit_sleep_ms=0");
  // What is under way when the pool ends is nobody's any more; after stop() there is none.
  const SanitizerOption leaks("ASAN_OPTIONS", mode == "stopped" ? "" : ":detect_leaks=0");
  std::array<int, 2> out{};
  REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string program = KUBE_ONCE_PROGRAM;
  std::string own_mode = mode;
  std::string own_config = kubeconfig;
  std::array<char*, 4> arguments{program.data(), own_mode.data(), own_config.data(), nullptr};
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  std::array<char, 64> text{};
  const auto got = ::read(out[0], text.data(), text.size());
  const TimePoint ready = Clock::now();
  // The other end closes with the process.
  pollfd end{out[0], POLLIN, 0};
  if (got > 0 && ::poll(&end, 1, 20'000) == 0) ::kill(pid, SIGKILL);
  End result;
  ::waitpid(pid, &result.status, 0);
  result.took = Clock::now() - ready;
  ::close(out[0]);
  if (got <= 0) result.took = Duration::max();
  return result;
}

int rounds(int usual) {
  const char* const given = std::getenv("VIPKEEPER_EXIT_ROUNDS");
  return given != nullptr ? std::atoi(given) : usual;
}

}  // namespace

TEST_CASE("a process that watches ends within a second, however it ends, and OpenSSL last", "[kube][exit]") {
  const Pki pki;
  const auto context = server_context(issue(pki.authority, "x", "IP:127.0.0.1"));
  Cluster cluster(context.get());
  cluster.api.put("services", "web", service("web", 80));
  cluster.api.set_streams(GENERATE(FakeApi::Streams::refused, FakeApi::Streams::served));
  const Config config;
  config.file("ca.crt", pki.authority.certificate_pem());
  const ApiServerOptions options = config.write(cluster.url());
  const std::string modes[] = {"synced", "stopped", "at-once"};
  for (int round = 0; round < rounds(6); ++round) {
    const std::string& mode = modes[round % 3];
    INFO("round " << round << ", " << mode);
    const End end = run_once(mode, options.access.kubeconfig);
    REQUIRE(end.status == 0);
    REQUIRE(end.took < 1s);
  }
}

TEST_CASE("a process whose pool thread does not come to an end ends within a second all the same", "[kube][exit]") {
  Cluster cluster;
  const Config config;
  const End end = run_once("busy", config.write(cluster.url()).access.kubeconfig);
  CHECK(end.status == 0);
  CHECK(end.took < 1s);
}

TEST_CASE("a process whose resolver gets no answer ends within a second", "[kube][exit]") {
  const Config config;
  const ApiServerOptions options = config.write("http://kubernetes.default.svc:80", "tls-server-name: x");
  const End end = run_once("stuck", options.access.kubeconfig);
  CHECK(end.status == 0);
  CHECK(end.took < 1s);
}
