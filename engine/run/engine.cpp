// The engine's front: one object that turns a change of the text into work for its threads.
//
//     controller or file watcher          (the caller's thread)
//        apply(FragmentChange)
//          -> Configuration               parse, validate, diff: pure, here
//          "configuration -> VRRP"        VrrpLoop::apply         newest wins
//          "configuration -> scripts"     ScriptRunner::apply     newest wins
//          "configuration -> programming" ProgrammingLoop::apply  merged by virtual service
//          "configuration -> return path" ReturnPathLoop::apply   merged by virtual service
//     VRRP "transition -> scripts"        ScriptRunner::notify
//     scripts "result -> VRRP"            VrrpLoop::script_result
//
// Each arrow is a one-way queue; nobody waits for a reader. What an operator asks is put together from what the threads
// published, on the asker's thread.
//
// Start: the ownership record is read, leftovers of a crash go to the loops that clean or adopt them. Shutdown, a
// written list: (1) VRRP: priority 0 is sent and addresses are removed, so the successor starts while we still forward;
// (2) programming: own virtual services are deleted; (3) return path: the packet filter's rules are taken away;
// (4) scripts: notify scripts of the shutdown have run; (5) the record is left as the loops have it.
//
// A kernel that gives no rights does not end the program: the part that needs them is missing, the log and status say
// which right and how to give it, the rest goes on. Nor does a disk that takes no record (ownership.h).

#include "engine/run/engine.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <mutex>

#include "engine/config/configuration.h"
#include "engine/net/kernel_switches.h"
#include "engine/run/record/ownership.h"
#include "engine/run/scripts/script_runner.h"
#include "engine/run/scripts/script_security.h"
#include "engine/run/services/programming_loop.h"
#include "engine/run/services/return_path_loop.h"
#include "engine/run/vrrp/vrrp_loop.h"

namespace vipkeeper::run {

namespace {

std::vector<status::Problem> shown(const std::vector<config::Problem>& problems) {
  std::vector<status::Problem> result;
  result.reserve(problems.size());
  for (const config::Problem& problem : problems) {
    const auto& [file, line, column] = problem.where;
    result.push_back(
        {problem.severity == config::Severity::error, fmt::format("{}:{}:{}", file, line, column), problem.message});
  }
  return result;
}

std::vector<status::Problem> missing_switches() {
  std::vector<status::Problem> result;
  for (auto& missing : net::prepare_kernel())
    result.push_back({false, std::move(missing.name), std::move(missing.message)});
  return result;
}

class ThreadedEngine final : public Engine {
 public:
  explicit ThreadedEngine(EngineOptions options) : options_(std::move(options)) {}
  ~ThreadedEngine() override { stop(); }
  ThreadedEngine(const ThreadedEngine&) = delete;
  ThreadedEngine& operator=(const ThreadedEngine&) = delete;

  void start_threads();
  ApplyReport apply(const config::FragmentChange& change) override;
  [[nodiscard]] bool settled() const override;
  [[nodiscard]] status::Snapshot snapshot() const override;
  [[nodiscard]] std::vector<status::VirtualRouterStatus> virtual_routers() const override;
  [[nodiscard]] std::vector<status::Problem> problems() const override;
  [[nodiscard]] std::string stuck() const override;
  void stop() override;

 private:
  void start_vrrp();
  void start_programming();
  void start_return_path();
  void note(std::string object, std::string message);
  void tell_refused(std::vector<status::Problem> refused);

  const EngineOptions options_;
  std::unique_ptr<Ownership> ownership_;
  std::unique_ptr<ScriptRunner> scripts_;
  std::unique_ptr<VrrpLoop> vrrp_;                // null: no rights
  std::unique_ptr<ProgrammingLoop> programming_;  // null: could not be started
  std::unique_ptr<ReturnPathLoop> return_path_;   // likewise, or a dry run
  config::Configuration configuration_;           // the caller's thread only
  bool stopped_ = false;

  mutable std::mutex mutex_;                      // guards the four below
  std::vector<status::Problem> host_problems_;    // what this host does not let us do
  std::vector<status::Problem> refused_scripts_;  // of the configuration in force
  std::vector<status::Problem> text_problems_;    // of the text that runs
  std::uint64_t fragments_parsed_ = 0;
};

void ThreadedEngine::start_threads() {
  ownership_ = options_.dry_run ? Ownership::open_read_only(options_.run_dir) : Ownership::open(options_.run_dir);
  start_vrrp();
  start_programming();
  if (!options_.dry_run) start_return_path();
}

void ThreadedEngine::start_vrrp() {
  scripts_ = ScriptRunner::create({.on_result =
                                       [this](ScriptResult result) {
                                         if (vrrp_) vrrp_->script_result(std::move(result));
                                       },
                                   .state_file = options_.dry_run ? "" : options_.state_file});
  auto vrrp =
      VrrpLoop::start({.dry_run = options_.dry_run,
                       .release_vips = options_.release_vips,
                       .leftover_addresses = ownership_->addresses(),
                       .claim = [this](std::span<const OwnedAddress> addresses) { ownership_->claim(addresses); },
                       .release = [this](std::span<const OwnedAddress> addresses) { ownership_->release(addresses); },
                       .on_transition = [this](NotifyEvent event) { scripts_->notify(std::move(event)); }});
  if (!vrrp) {
    note("VRRP", vrrp.error().message);
    return;
  }
  vrrp_ = std::move(*vrrp);
}

void ThreadedEngine::start_programming() {
  ProgrammingLoopOptions options{.dry_run = options_.dry_run, .ownership = ownership_.get()};
  if (!options_.dry_run) options.prepare_kernel = missing_switches;
  auto programming = ProgrammingLoop::start(std::move(options));
  if (!programming) {
    note("IPVS", programming.error().message);
    return;
  }
  programming_ = std::move(*programming);
}

void ThreadedEngine::start_return_path() {
  auto return_path = ReturnPathLoop::start(kernel_return_path(options_.run_dir));
  if (!return_path) {
    note("masquerading", return_path.error().message);
    return;
  }
  return_path_ = std::move(*return_path);
}

void ThreadedEngine::note(std::string object, std::string message) {
  spdlog::error("{}: {}", object, message);
  const std::lock_guard lock(mutex_);
  host_problems_.push_back({true, std::move(object), std::move(message)});
}

// Logs those that are new.
void ThreadedEngine::tell_refused(std::vector<status::Problem> refused) {
  for (const status::Problem& problem : refused) {
    if (std::ranges::find(refused_scripts_, problem) == refused_scripts_.end())
      spdlog::error("{}: {}", problem.object, problem.message);
  }
  const std::lock_guard lock(mutex_);
  refused_scripts_ = std::move(refused);
}

ApplyReport ThreadedEngine::apply(const config::FragmentChange& change) {
  auto result = configuration_.apply(change);
  if (!result) return {false, std::move(result.error())};
  config::ConfigDelta& delta = result->delta;
  {
    auto text_problems = shown(configuration_.problems());
    const std::lock_guard lock(mutex_);
    text_problems_ = std::move(text_problems);
    fragments_parsed_ += result->fragments_parsed;
  }
  if (delta.vrrp_changed) {
    const auto vrrp = std::make_shared<VrrpConfig>(
        VrrpConfig{std::move(delta.globals), std::move(delta.instances), std::move(delta.scripts)});
    tell_refused(leave_out_refused_scripts(*vrrp));
    if (vrrp_) vrrp_->apply(vrrp);
    if (!options_.dry_run) scripts_->apply(vrrp);
  }
  if (programming_) programming_->apply(delta.virtual_servers, true);
  if (return_path_) return_path_->apply(std::move(delta.virtual_servers), true);
  return {true, std::move(result->problems)};
}

bool ThreadedEngine::settled() const {
  return vrrp_ && vrrp_->settled() && programming_ && programming_->settled() &&
         (!return_path_ || return_path_->settled());
}

status::Snapshot ThreadedEngine::snapshot() const {
  status::Snapshot result;
  if (vrrp_) {
    result.virtual_routers = *vrrp_->status();
    result.counters.merge(vrrp_->counters());
  }
  if (programming_) {
    result.virtual_services = programming_->status_with_stats();
    result.counters.merge(programming_->counters());
  }
  if (return_path_) {
    result.return_path = return_path_->status();
    result.counters.merge(return_path_->counters());
  }
  result.config.problems = problems();
  const std::lock_guard lock(mutex_);
  result.counters["fragments_parsed"] = fragments_parsed_;
  return result;
}

std::vector<status::VirtualRouterStatus> ThreadedEngine::virtual_routers() const {
  return vrrp_ ? *vrrp_->status() : std::vector<status::VirtualRouterStatus>{};
}

std::vector<status::Problem> ThreadedEngine::problems() const {
  std::vector<status::Problem> result = programming_ ? programming_->problems() : std::vector<status::Problem>{};
  const auto add = [&](const std::vector<status::Problem>& more) {
    result.insert(result.end(), more.begin(), more.end());
  };
  if (vrrp_) add(vrrp_->problems());
  if (return_path_) add(return_path_->problems());
  add(scripts_->problems());
  for (std::string& problem : ownership_->problems()) result.push_back({true, "ownership record", std::move(problem)});
  const std::lock_guard lock(mutex_);
  result.insert(result.end(), host_problems_.begin(), host_problems_.end());
  result.insert(result.end(), refused_scripts_.begin(), refused_scripts_.end());
  result.insert(result.end(), text_problems_.begin(), text_problems_.end());
  return result;
}

// A restart takes the addresses from this host: nothing but the thread that holds them is worth one.
std::string ThreadedEngine::stuck() const {
  if (vrrp_ && !vrrp_->answers()) return "the VRRP thread does not answer";
  return "";
}

void ThreadedEngine::stop() {
  if (std::exchange(stopped_, true)) return;
  if (vrrp_) vrrp_->stop();
  // Addresses that stay want what is behind them to stay, too.
  if (programming_) programming_->stop(options_.release_vips);
  if (return_path_) return_path_->stop(options_.release_vips);
  if (scripts_) scripts_->stop();
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(EngineOptions options) {
  auto engine = std::make_unique<ThreadedEngine>(std::move(options));
  engine->start_threads();
  return engine;
}

}  // namespace vipkeeper::run
