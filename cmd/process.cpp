#include "cmd/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/utsname.h>

#include <cerrno>
#include <filesystem>

namespace vipkeeper::cmd {

namespace {

// A burst of transitions of some hundred virtual routers; more is lost only when nobody reads the log.
constexpr std::size_t queued_lines = 1024;

sigset_t signal_set(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

void start_log(int verbosity) {
  spdlog::init_thread_pool(queued_lines, 1);
  auto logger =
      std::make_shared<spdlog::async_logger>("vipkeeper", std::make_shared<spdlog::sinks::stdout_sink_mt>(),
                                             spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->set_level(verbosity > 0 ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void stop_log() {
  // Alive until its thread is gone, which used it last.
  const auto logger = spdlog::default_logger();
  spdlog::shutdown();
}

void block_signals(std::initializer_list<int> signals) {
  const sigset_t set = signal_set(signals);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::optional<int> wait_for_signal(std::initializer_list<int> signals, std::chrono::milliseconds timeout) {
  const sigset_t set = signal_set(signals);
  const timespec limit{timeout.count() / 1000, timeout.count() % 1000 * 1'000'000};
  const int signal = sigtimedwait(&set, nullptr, &limit);
  if (signal < 0) return std::nullopt;
  return signal;
}

void make_run_dir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (error)
    spdlog::error("cannot make the run directory {}: {}; let vipkeeper write there or choose another --run-dir", path,
                  error.message());
}

Result<UniqueFd> lock_run_dir(const std::string& path) {
  const std::string file = path + "/lock";
  UniqueFd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return UniqueFd();
  return failure(ErrorCode::already_exists,
                 path + ": another vipkeeper runs there; stop it or choose another --run-dir");
}

std::string host_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "localhost";
}

}  // namespace vipkeeper::cmd
