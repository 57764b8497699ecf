// `vipkeeper engine -f FILE`: the engine alone, fed with a keepalived.conf. What cannot be used of it is reported and
// left out. SIGHUP reads the file again: what changed is applied, a block that became unusable stays as it runs, and a
// file with nothing usable leaves the running configuration as it is. SIGTERM and SIGINT give everything up in order.

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <mutex>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/process.h"
#include "cmd/read_config.h"
#include "cmd/serve.h"
#include "cmd/version.h"
#include "engine/config/configuration.h"
#include "engine/run/engine.h"

namespace vipkeeper::cmd {

namespace {

struct EngineFlags {
  std::string file;
  std::string run_dir = "/run/vipkeeper";
  std::string http_address = "127.0.0.1";
  int http_port = -1;
  std::string node_name;
  bool dry_run = false;
  bool release_vips = true;
  int verbosity = 0;
};

void add_flags(CLI::App& app, EngineFlags& flags) {
  app.add_option("-f,--file", flags.file, "the keepalived.conf to run; read again on SIGHUP")->required();
  app.add_option("--run-dir", flags.run_dir, "socket and ownership record")->capture_default_str();
  app.add_option("--http-address", flags.http_address, "address to listen on")->capture_default_str();
  app.add_option("--http-port", flags.http_port, "port of /health, /ready, /status, /metrics (default: none)")
      ->check(CLI::Range(0, 65535));
  app.add_option("--node-name", flags.node_name, "the name shown in status (default: the host's)");
  app.add_flag("--dry-run", flags.dry_run, "parse, plan and show; touch nothing in the kernel");
  app.add_flag("--release-vips,!--no-release-vips", flags.release_vips, "give the VIPs up at shutdown")
      ->default_str("true");
  app.add_option("-v,--v", flags.verbosity, "log detail: 0 normal, 1 and more debug")->capture_default_str();
}

// The file as the engine's source of configuration. load() on the main thread, status() on any.
class ConfigurationFile {
 public:
  ConfigurationFile(std::string path, run::Engine& engine) : path_(std::move(path)), engine_(engine) {}

  // False: nothing changed, and the log says why with every place.
  bool load() {
    const auto text = read_config(path_);
    if (!text) {
      note({{true, path_, text.error().message}}, false);
      spdlog::error("{}", text.error().message);
      return false;
    }
    const config::FragmentChange change = config::split(text->sources, fragments_);
    const run::ApplyReport report = engine_.apply(change);
    std::vector<status::Problem> shown;
    for (const config::Problem& problem : text->problems) shown.push_back(tell(problem));
    for (const config::Problem& problem : report.problems) {
      status::Problem told = tell(problem);
      if (!report.applied) shown.push_back(std::move(told));  // the engine has those of what runs
    }
    note(std::move(shown), report.applied);
    if (report.applied) remember(change);
    return report.applied;
  }

  [[nodiscard]] status::ConfigStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  static status::Problem tell(const config::Problem& problem) {
    const bool error = problem.severity == config::Severity::error;
    spdlog::log(error ? spdlog::level::err : spdlog::level::warn, "{}", problem.to_string());
    const auto& [file, line, column] = problem.where;
    return {error, fmt::format("{}:{}:{}", file, line, column), problem.message};
  }

  void remember(const config::FragmentChange& change) {
    for (const auto& [id, fragment] : change) {
      if (fragment) {
        fragments_[id] = fragment;
      } else {
        fragments_.erase(id);
      }
    }
  }

  void note(std::vector<status::Problem> problems, bool applied) {
    const std::lock_guard lock(mutex_);
    status_.source = "file";
    status_.problems = std::move(problems);
    if (!applied) return;
    ++status_.generation;
    status_.applied_at = std::chrono::system_clock::now();
    status_.synced = true;
  }

  const std::string path_;
  run::Engine& engine_;
  config::FragmentChange fragments_;
  mutable std::mutex mutex_;
  status::ConfigStatus status_;
};

int serve(const EngineFlags& flags) {
  auto engine = run::Engine::start(
      {.run_dir = flags.run_dir, .state_file = "", .dry_run = flags.dry_run, .release_vips = flags.release_vips});
  if (!engine) {
    spdlog::error("{}", engine.error().message);
    return 1;
  }
  ConfigurationFile file(flags.file, **engine);
  const DoorOptions options{flags.run_dir, flags.node_name.empty() ? host_name() : flags.node_name, flags.http_address,
                            flags.http_port < 0 ? std::nullopt : std::optional(flags.http_port)};
  auto doors = open_doors(options, **engine, [&file](status::Snapshot& snapshot) {
    auto running = std::move(snapshot.config.problems);
    snapshot.config = file.status();
    auto& problems = snapshot.config.problems;
    problems.insert(problems.end(), running.begin(), running.end());
  });
  if (!doors) {
    spdlog::error("{}", doors.error().message);
    return 1;
  }
  if (!file.load()) {
    spdlog::error("{}: nothing of it can be used, nothing to run", flags.file);
    return 1;
  }
  for (;;) {
    const auto signal = wait_for_signal({SIGTERM, SIGINT, SIGHUP}, doors->patience());
    if (!signal) {
      doors->retry();
      continue;
    }
    if (*signal != SIGHUP) break;
    spdlog::info("Reloading {}", flags.file);
    spdlog::info("{}", file.load() ? "Reload complete" : "keeping the running configuration");
  }
  spdlog::info("Stopping");
  doors->http.reset();
  (*engine)->stop();
  doors->control.reset();
  spdlog::info("Stopped");
  return 0;
}

}  // namespace

int engine(int argc, char** argv) {
  CLI::App app("the engine alone, fed with a keepalived.conf", "vipkeeper engine");
  EngineFlags flags;
  add_flags(app, flags);
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;
  block_signals({SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ});
  start_log(flags.verbosity);
  spdlog::info("Starting vipkeeper {} with {}", version_text, flags.file);
  make_run_dir(flags.run_dir);
  const auto alone = flags.dry_run ? Result<UniqueFd>() : lock_run_dir(flags.run_dir);
  int result = 1;
  if (alone) {
    result = serve(flags);
  } else {
    spdlog::error("{}", alone.error().message);
  }
  stop_log();
  return result;
}

}  // namespace vipkeeper::cmd
