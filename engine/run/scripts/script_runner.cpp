// The script thread: vrrp_scripts on their schedule, notify scripts in order, the state file. It is started by the
// first thing it has to do, so that an engine without scripts has no such thread.
//
// Check scripts. Each runs when it is first configured and then every `interval`, counted from the first start. A run
// that is still under way when the next is due is not doubled: that turn is left out. A run that lasts longer than
// `timeout` (default: the interval) is a failure at that moment; its process group gets SIGTERM, and SIGKILL two
// seconds later. What the results mean (rise, fall, weight) is decided on the VRRP thread. A script that is not there
// or may not be executed has failed. That this host can start no process now (processes, memory, descriptors) says
// nothing about what the script asks about, and is likely so on other hosts at the same time: no result is given, the
// last one stands, and a problem says so. Likewise for one that has become replaceable by others than root
// (enable_script_security; what was so when the configuration came is not in it, see script_security.h).
//
// Notify scripts. One queue an instance: the script of the state, then the general one with `INSTANCE name STATE
// priority` appended, then those of the last event that came meanwhile; an instance that flaps faster than its scripts
// run is not told old states for hours, and always the last. A queue waits for its own scripts only. One that runs for
// more than a minute is ended, so that a script that hangs does not swallow all that comes after it. One that this host
// cannot start now is tried again each second, until it can or a newer event takes its place.
//
// All waiting is on descriptors (pidfd) and timers of the event loop; nothing here blocks but the state file's disk.
//
// Invariants: every child is reaped exactly once; a child whose owner is gone (script removed by a reload) is ended and
// reaped without a result; stop() returns within about three seconds.

#include "engine/run/scripts/script_runner.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/base/log_limiter.h"
#include "engine/net/event_loop.h"
#include "engine/run/scripts/script_command.h"
#include "engine/run/scripts/script_job.h"
#include "engine/run/scripts/script_problems.h"
#include "engine/run/scripts/script_process.h"
#include "engine/run/scripts/script_security.h"
#include "engine/run/thread/log.h"

namespace vipkeeper::run {
namespace {

constexpr auto stop_limit = std::chrono::seconds(2);
constexpr auto notify_limit = std::chrono::seconds(60);
// Until a script that this host could not start is tried again.
constexpr auto start_again = std::chrono::seconds(1);
constexpr std::string_view state_instance = "vips";

// One vrrp_script.
struct Check {
  Check(net::EventLoop& loop, std::shared_ptr<const config::VrrpScript> script, std::function<void()> on_due)
      : config(std::move(script)), next(loop, std::move(on_due)) {}
  std::shared_ptr<const config::VrrpScript> config;
  net::Timer next;
  TimePoint due{};
  ScriptJob* job = nullptr;
  bool reported = false;  // the run under way has timed out, its result was given
  int last_status = 0;
};

// One script with all that it is called with.
struct ScriptRun {
  std::string command;  // as configured
  std::vector<std::string> arguments;
};
// The scripts that one event is told by, in their order.
using Telling = std::deque<ScriptRun>;

// What one instance's scripts are told.
struct NotifyQueue {
  NotifyQueue(net::EventLoop& loop, std::function<void()> on_again) : again(loop, std::move(on_again)) {}
  Telling begun;  // what is left of it
  Telling next;   // of the last event that came meanwhile
  ScriptJob* job = nullptr;
  net::Timer again;
  [[nodiscard]] bool idle() const { return job == nullptr && begun.empty() && next.empty(); }
};

// This host or its rules keep a script from running: that says nothing about what it would find.
bool is_no_verdict(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::permission;
}

class RunningScriptRunner final : public ScriptRunner {
 public:
  explicit RunningScriptRunner(ScriptRunnerOptions options) : options_(std::move(options)) {}
  ~RunningScriptRunner() override { RunningScriptRunner::stop(); }
  RunningScriptRunner(const RunningScriptRunner&) = delete;
  RunningScriptRunner& operator=(const RunningScriptRunner&) = delete;

  void apply(std::shared_ptr<const VrrpConfig> config) override;
  void notify(NotifyEvent event) override;
  [[nodiscard]] std::vector<status::Problem> problems() const override { return problems_.all(); }
  void stop() override;

 private:
  bool ensure_thread();
  void configure(const VrrpConfig& config);
  void run_check(Check& check);
  void check_ended(Check& check, int status);
  void check_timed_out(Check& check);
  void report(const Check& check, bool success, bool timed_out, std::string detail);
  void enqueue(const NotifyEvent& event);
  void run_notify(const std::string& instance);
  void write_state(const std::string& word);
  Result<ScriptJob*> start_job(const ScriptRun& run, const std::string& user, Duration limit,
                               std::function<void()> on_limit, ScriptJob::OnEnd on_end);
  bool end_turn();
  void begin_stop();

  ScriptRunnerOptions options_;
  std::mutex mutex_;  // guards the start and end of the thread
  bool stopped_ = false;
  std::unique_ptr<net::EventLoop> loop_;
  std::thread thread_;

  // The runner's thread only.
  std::string script_user_;
  bool only_safe_ = false;
  std::map<std::string, std::unique_ptr<Check>> checks_;
  std::map<std::string, std::unique_ptr<NotifyQueue>> notifies_;
  std::vector<std::unique_ptr<ScriptJob>> jobs_;
  std::unique_ptr<net::Timer> stop_deadline_;
  bool stopping_ = false;
  LogLimiter limiter_;
  ScriptProblems problems_;
};

std::string object_of(const config::VrrpScript& script) { return "vrrp_script " + script.name; }
constexpr std::string_view notify_object = "notify script ";
std::string object_of(const std::string& instance, const ScriptRun& run) {
  return std::string(notify_object) + run.command + " of " + instance;
}

bool has_work(const VrrpConfig& config) {
  for (const auto& instance : config.instances) {
    if (!instance->track_scripts.empty()) return true;
  }
  return false;
}

const std::string& script_of(const config::NotifyScripts& scripts, std::string_view state) {
  if (state == "MASTER") return scripts.master;
  if (state == "BACKUP") return scripts.backup;
  if (state == "FAULT") return scripts.fault;
  return scripts.stop;
}

bool RunningScriptRunner::ensure_thread() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  if (loop_) return true;
  auto loop = net::EventLoop::create();
  if (!loop) {
    log_error("scripts cannot run: " + loop.error().message);
    return false;
  }
  loop_ = std::move(*loop);
  loop_->at_turn_end([this] { return end_turn(); });
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "scripts");
    loop_->run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return true;
}

void RunningScriptRunner::apply(std::shared_ptr<const VrrpConfig> config) {
  {
    const std::lock_guard lock(mutex_);
    const auto& globals = config->globals;
    if (!loop_ && !has_work(*config) && globals.script_user.empty() && !globals.enable_script_security) return;
  }
  if (!ensure_thread()) return;
  loop_->post([this, config = std::move(config)] { configure(*config); });
}

void RunningScriptRunner::notify(NotifyEvent event) {
  const auto& scripts = event.instance->notify;
  const bool has_state_file = !options_.state_file.empty() && event.instance->name == state_instance;
  if (scripts.any.empty() && script_of(scripts, event.state).empty() && !has_state_file) {
    // Nothing to tell of it; but it ends the telling of an older one.
    const std::lock_guard lock(mutex_);
    if (!loop_) return;
  }
  if (!ensure_thread()) return;
  loop_->post([this, event = std::move(event)] { enqueue(event); });
}

void RunningScriptRunner::configure(const VrrpConfig& config) {
  script_user_ = config.globals.script_user;
  only_safe_ = config.globals.enable_script_security;
  // Such a script may not be configured any more; if it is, the next event tells.
  problems_.withdraw_all(notify_object);
  std::map<std::string, std::shared_ptr<const config::VrrpScript>> wanted;
  for (const auto& script : config.scripts) {
    for (const auto& instance : config.instances) {
      for (const auto& tracked : instance->track_scripts) {
        if (tracked.script == script->name) wanted[script->name] = script;
      }
    }
  }
  std::erase_if(checks_, [&](const auto& entry) {
    const auto& [name, check] = entry;
    const auto found = wanted.find(name);
    if (found != wanted.end() && *found->second == *check->config) return false;
    if (check->job != nullptr) check->job->abandon();
    problems_.withdraw(object_of(*check->config));
    return true;
  });
  for (const auto& [name, script] : wanted) {
    auto& check = checks_[name];
    if (check) continue;
    check = std::make_unique<Check>(*loop_, script, [this, name] { run_check(*checks_.at(name)); });
    check->due = loop_->now();
    check->next.arm(check->due);
  }
}

void RunningScriptRunner::run_check(Check& check) {
  const auto& script = *check.config;
  const Duration interval = std::max<Duration>(script.interval, std::chrono::milliseconds(10));
  // In step with the first start; turns that were missed altogether are not made up for.
  while (check.due <= loop_->now()) check.due += interval;
  check.next.arm(check.due);
  if (check.job != nullptr) {
    if (const auto held_back = limiter_.admit(loop_->now(), "busy " + script.name)) {
      log_warning("Script " + script.name + " is still running, this run is left out" + LogLimiter::suffix(*held_back));
    }
    return;
  }
  check.reported = false;
  const Duration timeout = script.timeout > Duration::zero() ? script.timeout : interval;
  const auto job = start_job(
      {script.command, build_arguments(script.command)}, script.user.empty() ? script_user_ : script.user, timeout,
      [this, &check] { check_timed_out(check); }, [this, &check](int status) { check_ended(check, status); });
  if (job) {
    check.job = *job;
    return problems_.withdraw(object_of(script));
  }
  const Error& error = job.error();
  const bool stands = is_no_verdict(error);
  if (const auto held_back = limiter_.admit(loop_->now(), "start " + script.name)) {
    log_error("Script " + script.name + ": " + error.message + (stands ? "; its last result stands" : "") +
              LogLimiter::suffix(*held_back));
  }
  if (stands) {
    problems_.raise(object_of(script), error.message + "; its last result stands");
    return check.next.arm(std::min<TimePoint>(check.due, loop_->now() + start_again));
  }
  problems_.withdraw(object_of(script));
  report(check, false, false, error.message);
}

void RunningScriptRunner::check_ended(Check& check, int status) {
  check.job = nullptr;
  if (check.reported) return;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code != check.last_status) {
    log_info("Script `" + check.config->name + "` now returning " + std::to_string(code));
    check.last_status = code;
  }
  report(check, code == 0, false, describe_status(status));
}

void RunningScriptRunner::check_timed_out(Check& check) {
  check.reported = true;
  report(check, false, true, "timed_out");
}

void RunningScriptRunner::report(const Check& check, bool success, bool timed_out, std::string detail) {
  if (options_.on_result) options_.on_result({check.config->name, success, timed_out, std::move(detail)});
}

void RunningScriptRunner::enqueue(const NotifyEvent& event) {
  const auto& instance = *event.instance;
  if (instance.name == state_instance && !options_.state_file.empty()) write_state(event.state);
  Telling telling;
  const auto add = [&](const std::string& command, const std::vector<std::string>& arguments) {
    auto words = build_arguments(command, arguments);
    if (!words.empty()) telling.push_back({command, std::move(words)});
  };
  add(script_of(instance.notify, event.state), {});
  add(instance.notify.any, {"INSTANCE", instance.name, event.state, std::to_string(event.priority)});
  auto& queue = notifies_[instance.name];
  if (!queue) queue = std::make_unique<NotifyQueue>(*loop_, [this, name = instance.name] { run_notify(name); });
  if (queue->again.armed()) {  // what could not be started is old now
    queue->again.disarm();
    queue->begun.clear();
  }
  queue->next = std::move(telling);
  if (queue->job == nullptr) run_notify(instance.name);
}

// Starts the next script, if none is under way.
void RunningScriptRunner::run_notify(const std::string& instance) {
  NotifyQueue& queue = *notifies_.at(instance);
  while (queue.job == nullptr && !queue.idle()) {
    if (queue.begun.empty()) queue.begun = std::exchange(queue.next, {});
    const ScriptRun& run = queue.begun.front();
    const std::string who = "(" + instance + ") notify script " + run.arguments.front();
    const auto job = start_job(
        run, script_user_, notify_limit, [who] { log_warning(who + " runs for a minute, ending it"); },
        [this, instance, who](int status) {
          if (status != 0) log_warning(who + " " + describe_status(status));
          notifies_.at(instance)->job = nullptr;
          run_notify(instance);
        });
    if (job) {
      queue.job = *job;
      problems_.withdraw(object_of(instance, run));
    } else {
      const Error& error = job.error();
      if (const auto held_back = limiter_.admit(loop_->now(), "notify " + instance))
        log_error("(" + instance + ") notify script: " + error.message + LogLimiter::suffix(*held_back));
      if (is_no_verdict(error)) problems_.raise(object_of(instance, run), error.message);
      if (error.code == ErrorCode::unavailable) return queue.again.arm(loop_->now() + start_again);
    }
    queue.begun.pop_front();
  }
}

// By rename, so that a reader sees the old word or the new one.
void RunningScriptRunner::write_state(const std::string& word) {
  const std::string temporary = options_.state_file + ".new";
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  const bool written = fd && ::write(fd.get(), word.data(), word.size()) == static_cast<ssize_t>(word.size()) &&
                       std::rename(temporary.c_str(), options_.state_file.c_str()) == 0;
  if (written) return;
  const int error = errno;
  if (const auto held_back = limiter_.admit(loop_->now(), "state file")) {
    log_warning("cannot write " + options_.state_file + ": " + std::strerror(error) + LogLimiter::suffix(*held_back));
  }
}

// The error is as ChildProcess::start's and check_may_run's.
Result<ScriptJob*> RunningScriptRunner::start_job(const ScriptRun& run, const std::string& user, Duration limit,
                                                  std::function<void()> on_limit, ScriptJob::OnEnd on_end) {
  if (const auto allowed = check_may_run(run.command, user, only_safe_); !allowed)
    return std::unexpected(allowed.error());
  auto child = ChildProcess::start(run.arguments, user);
  if (!child) return std::unexpected(child.error());
  jobs_.push_back(
      std::make_unique<ScriptJob>(*loop_, std::move(*child), limit, std::move(on_limit), std::move(on_end)));
  return jobs_.back().get();
}

bool RunningScriptRunner::end_turn() {
  std::erase_if(jobs_, [](const auto& job) { return job->ended(); });
  if (!stopping_) return false;
  bool notifying = false;
  for (const auto& [name, queue] : notifies_) notifying = notifying || !queue->idle();
  if (jobs_.empty() && !notifying) loop_->stop();
  return false;
}

void RunningScriptRunner::begin_stop() {
  stopping_ = true;
  for (auto& [name, check] : checks_) {
    if (check->job != nullptr) check->job->abandon();
  }
  checks_.clear();
  // A child that does not die of SIGKILL is in the kernel's hands: the thread's end does not wait for it.
  stop_deadline_ = std::make_unique<net::Timer>(*loop_, [this] {
    for (auto& [name, queue] : notifies_) {
      queue->begun.clear();
      queue->next.clear();
      queue->again.disarm();
    }
    for (auto& job : jobs_) job->kill();
    stop_deadline_ = std::make_unique<net::Timer>(*loop_, [this] { loop_->stop(); });
    stop_deadline_->arm(loop_->now() + std::chrono::seconds(1));
  });
  stop_deadline_->arm(loop_->now() + stop_limit);
}

void RunningScriptRunner::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (!thread_.joinable()) return;
  }
  loop_->post([this] { begin_stop(); });
  thread_.join();
  stop_deadline_.reset();
  notifies_.clear();
  jobs_.clear();
}

}  // namespace

std::unique_ptr<ScriptRunner> ScriptRunner::create(ScriptRunnerOptions options) {
  return std::make_unique<RunningScriptRunner>(std::move(options));
}

}  // namespace vipkeeper::run
