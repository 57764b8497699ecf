#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace vipkeeper::run {

// A child process in a process group of its own, with /dev/null as input and output, default signals, no descriptor of
// ours, and without LD_* and IFS in its environment. It gets SIGTERM when the thread that started it ends.
class ChildProcess {
 public:
  // `arguments`: the program and its arguments; a name without a slash is looked up in PATH, and a file that says
  // neither by itself nor by its first line how it is run is one for /bin/sh. `user`: "USER" or "USER GROUP" to run as;
  // empty: as we are. The error names program or user and cause: unavailable, this host cannot start a process now
  // (processes, memory, descriptors); permission, this process may not become the user; any other is the script's own.
  // Costs a vfork, not a copy of the process.
  static Result<ChildProcess> start(const std::vector<std::string>& arguments, const std::string& user);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable once the process has ended; -1 on kernels before 5.3, where reap() must be asked.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  // The status of wait(2) once the process has ended, else nullopt. Does not block. Once it returned a status the pid
  // is no longer ours.
  std::optional<int> reap();
  // To the whole group.
  void signal_group(int signal) const;

 private:
  ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_;
  UniqueFd pidfd_;
};

// The path of a program: one with a slash as it is, else the first of PATH that may be executed. Error not_found.
Result<std::string> find_program(const std::string& name);

// "exited with status 1", "killed by signal 9".
std::string describe_status(int status);

}  // namespace vipkeeper::run
