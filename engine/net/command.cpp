#include "engine/net/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <mutex>
#include <optional>
#include <system_error>

#include "engine/base/unique_fd.h"

namespace vipkeeper::net {
namespace {

// A program that is killed ends within this, unless it is stuck in the kernel.
constexpr auto kill_patience = std::chrono::seconds(1);
constexpr const char* path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string why(int number) { return std::generic_category().message(number); }

// A file of memory: a program may read and write it as slowly as it likes, nobody waits for a pipe to drain.
UniqueFd memory_file(const std::string& content) {
  UniqueFd file(memfd_create("vipkeeper", MFD_CLOEXEC));
  for (std::size_t done = 0; file && done < content.size();) {
    const auto written = ::write(file.get(), content.data() + done, content.size() - done);
    if (written < 0 && errno != EINTR) return UniqueFd();
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  if (file) ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string content_of(const UniqueFd& file) {
  std::string content;
  std::array<char, 65536> piece{};
  for (off_t at = 0;;) {
    const auto size = ::pread(file.get(), piece.data(), piece.size(), at);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(size));
    at += size;
  }
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

Result<pid_t> spawn(const std::vector<std::string>& words, int input, int output, int errors) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  // Our threads block every signal; a program expects none blocked.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::array<char*, 3> environment{const_cast<char*>(path), const_cast<char*>("LANG=C"), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == ENOENT) return failure(ErrorCode::unsupported, fmt::format("there is no {} here", words.front()));
  if (error != 0) return failure(ErrorCode::io, fmt::format("{} cannot be run: {}", words.front(), why(error)));
  return child;
}

// Children that were killed and had not ended when nobody would wait any longer: in the hands of the kernel, as a
// modprobe whose module hangs. They are reaped when the next program is run, if they have ended by then.
class Unreaped {
 public:
  void add(pid_t child) {
    const std::lock_guard lock(mutex_);
    children_.push_back(child);
  }
  void reap() {
    const std::lock_guard lock(mutex_);
    std::erase_if(children_, [](pid_t child) { return ::waitpid(child, nullptr, WNOHANG) != 0; });
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> children_;
};

Unreaped& unreaped() {
  static Unreaped all;
  return all;
}

// Its status of wait(2), or nullopt if it goes on for longer than that.
std::optional<int> wait_for(pid_t child, Duration timeout) {
  const TimePoint deadline = Clock::now() + timeout;
  int status = 0;
  // Short steps at first: most take some milliseconds.
  for (int step = 1;; step = std::min(step * 2, 50)) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) return 0;
    if (Clock::now() >= deadline) return std::nullopt;
    ::poll(nullptr, 0, step);
  }
}

// Ends it. What the kernel has in hand ends when the kernel lets it, and nobody waits for that.
void end(pid_t child) {
  ::kill(child, SIGKILL);
  if (!wait_for(child, kill_patience)) unreaped().add(child);
}

}  // namespace

Result<std::string> run_command(const std::vector<std::string>& words, const std::string& input, Duration timeout) {
  unreaped().reap();
  const UniqueFd in = memory_file(input), out = memory_file({}), errors = memory_file({});
  if (!in || !out || !errors)
    return failure(ErrorCode::io, fmt::format("{}: no memory for its input: {}", words.front(), why(errno)));
  const auto child = spawn(words, in.get(), out.get(), errors.get());
  if (!child) return std::unexpected(child.error());
  const auto status = wait_for(*child, timeout);
  if (!status) {
    end(*child);
    return failure(ErrorCode::unavailable,
                   fmt::format("{} did not end within {} s", words.front(),
                               std::chrono::duration_cast<std::chrono::seconds>(timeout).count()));
  }
  if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return content_of(out);
  const std::string text = first_line(content_of(errors));
  return failure(ErrorCode::io, fmt::format("{}: {}", words.front(), text.empty() ? "it failed" : text));
}

}  // namespace vipkeeper::net
