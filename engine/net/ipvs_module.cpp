#include "engine/net/ipvs_module.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>

#include "engine/base/unique_fd.h"
#include "engine/net/ipvs_netlink.h"

namespace vipkeeper::net {
namespace {

bool run_modprobe() {
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return false;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  std::array<std::string, 3> words{"/sbin/modprobe", "-q", "ip_vs"};
  std::array<char*, 4> argv{words[0].data(), words[1].data(), words[2].data(), nullptr};
  std::array<char*, 1> environment{nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return false;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  return ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Writes "1" unless it is there; an empty string, or why it could not.
std::string switch_on(const char* path, const char* name) {
  const UniqueFd reader(open(path, O_RDONLY | O_CLOEXEC));
  char now = 0;
  if (reader && read(reader.get(), &now, 1) == 1 && now == '1') return {};
  const UniqueFd writer(open(path, O_WRONLY | O_CLOEXEC));
  if (writer && write(writer.get(), "1", 1) == 1) return {};
  return fmt::format("{} could not be set to 1 ({}): run \"sysctl -w {}=1\" on the host", name,
                     std::generic_category().message(errno), name);
}

}  // namespace

bool load_ipvs_module_once() {
  static std::atomic_flag tried;
  return !tried.test_and_set() && run_modprobe();
}

std::vector<std::string> prepare_kernel() {
  std::vector<std::string> warnings;
  for (auto& warning :
       {switch_on("/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        switch_on("/proc/sys/net/ipv4/vs/conntrack", "net.ipv4.vs.conntrack"),
        // A flow whose real server is gone is given to another one; without it the kernel drops the flow's packets for
        // as long as the client sends (ip_vs_in, ip_vs_core.c). The second: also where a client is bound to it.
        switch_on("/proc/sys/net/ipv4/vs/expire_nodest_conn", "net.ipv4.vs.expire_nodest_conn"),
        switch_on("/proc/sys/net/ipv4/vs/expire_quiescent_template", "net.ipv4.vs.expire_quiescent_template")})
    if (!warning.empty()) warnings.push_back(warning);
  return warnings;
}

}  // namespace vipkeeper::net
