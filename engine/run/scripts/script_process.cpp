#include "engine/run/scripts/script_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "engine/run/scripts/script_identity.h"

namespace vipkeeper::run {
namespace {

constexpr const char* shell = "/bin/sh";
constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<char*> clean_environment() {
  std::vector<char*> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!text.starts_with("LD_") && !text.starts_with("IFS=")) result.push_back(*entry);
  }
  result.push_back(nullptr);
  return result;
}

// What the child did when it failed.
enum class Step { become, execute };

struct Failure {
  Step step;
  int error;
};

struct Plan {
  const char* program;
  char* const* arguments;
  char* const* shell_arguments;  // the same for a shell that reads the program
  char* const* environment;
  const ScriptIdentity* identity;
  int null_device;
  int report;  // a Failure goes here
  pid_t parent;
};

// Whether this host is short of something now, which says nothing about the script.
bool is_shortage(int error) {
  return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ENOSPC;
}

Error host_failure(std::string_view what, int error) {
  return {ErrorCode::unavailable, std::string(what) + ": " + std::strerror(error)};
}

// Between vfork and exec: only system calls, since memory (and, for setuid's sake, libc's idea of the threads) is the
// parent's.
[[noreturn]] void become(const Plan& plan) {
  const auto give_up = [&](Step step) {
    const Failure failed{step, errno};
    [[maybe_unused]] const auto written = ::write(plan.report, &failed, sizeof failed);
    ::_exit(127);
  };
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &by_default, nullptr);
  ::setpgid(0, 0);
  for (int fd = 0; fd < 3; ++fd) ::dup2(plan.null_device, fd);
  // Ours all have CLOEXEC; a library's may not. Unknown before Linux 5.11, then that has to do.
  constexpr unsigned set_cloexec = 1U << 2;  // CLOSE_RANGE_CLOEXEC
  ::syscall(SYS_close_range, 3U, ~0U, set_cloexec);
  if (!plan.identity->is_ours) {
    const ScriptIdentity& identity = *plan.identity;
    if (::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) != 0) give_up(Step::become);
    if (::syscall(SYS_setresgid, identity.group, identity.group, identity.group) != 0) give_up(Step::become);
    if (::syscall(SYS_setresuid, identity.user, identity.user, identity.user) != 0) give_up(Step::become);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // after setuid, which clears it
  if (::getppid() != plan.parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.arguments, plan.environment);
  // No program and no line that names an interpreter: a shell's script, as for execvp(3) and so for keepalived.
  if (errno == ENOEXEC) ::execve(shell, plan.shell_arguments, plan.environment);
  give_up(Step::execute);
  ::_exit(127);
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* set = std::getenv("PATH");
  std::string_view path = set != nullptr && *set != '\0' ? std::string_view(set) : default_path;
  while (true) {
    const auto end = path.find(':');
    auto candidate = std::string(path.substr(0, end)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  return failure(ErrorCode::not_found, "'" + name + "' is not in PATH");
}

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments, const std::string& user) {
  if (arguments.empty()) return failure(ErrorCode::invalid_input, "the command is empty");
  const auto identity = find_identity(user);
  if (!identity) return std::unexpected(identity.error());
  if (auto allowed = check_may_become(*identity, user); !allowed) return std::unexpected(allowed.error());
  const auto program = find_program(arguments.front());
  if (!program) return std::unexpected(program.error());

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::unexpected(host_failure("pipe", errno));
  const UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  const UniqueFd null_device(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_device) return std::unexpected(host_failure("/dev/null", errno));

  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> shell_argv{const_cast<char*>(shell), const_cast<char*>(program->c_str())};
  shell_argv.insert(shell_argv.end(), argv.begin() + 1, argv.end());
  auto environment = clean_environment();
  const Plan plan{program->c_str(), argv.data(),       shell_argv.data(), environment.data(),
                  &*identity,       null_device.get(), to_parent.get(),   ::getpid()};

  // No handler of ours may run in the child, in our memory.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) become(plan);
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return std::unexpected(host_failure("vfork", fork_error));

  to_parent.reset();
  Failure failed{};
  if (::read(from_child.get(), &failed, sizeof failed) == static_cast<ssize_t>(sizeof failed)) {
    ::waitpid(pid, nullptr, 0);
    const std::string cause = std::strerror(failed.error);
    if (is_shortage(failed.error))
      return failure(ErrorCode::unavailable, "cannot run '" + *program + "' now: " + cause);
    if (failed.step == Step::become) return failure(ErrorCode::permission, "cannot run as '" + user + "': " + cause);
    return failure(failed.error == EACCES ? ErrorCode::invalid_input : ErrorCode::not_found,
                   "cannot run '" + *program + "': " + cause);
  }
  return ChildProcess(pid, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))));
}

std::optional<int> ChildProcess::reap() {
  int status = 0;
  const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return std::nullopt;
  // ECHILD: somebody else collected it, so how it ended is not known; that is no success.
  return reaped == pid_ ? status : 255 << 8;
}

void ChildProcess::signal_group(int signal) const { ::kill(-pid_, signal); }

std::string describe_status(int status) {
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace vipkeeper::run
