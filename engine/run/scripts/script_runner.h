#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/thread/vrrp_config.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

struct ScriptRunnerOptions {
  // After each run of a check script, and when there is no such script or user, on the runner's thread; must not block.
  std::function<void(ScriptResult)> on_result = {};
  // Where the state word of instance `vips` is written, without a newline; empty: nowhere.
  std::string state_file = {};
};

// Runs check scripts on their schedule and notify scripts in order, on a thread of its own that exists only once there
// is something to run. See the essay in script_runner.cpp. All functions may be called from any thread.
class ScriptRunner {
 public:
  static std::unique_ptr<ScriptRunner> create(ScriptRunnerOptions options);
  // Stops, if stop() was not called.
  virtual ~ScriptRunner() = default;

  // Runs the scripts that at least one instance of `config` tracks. A script that did not change goes on as it was.
  virtual void apply(std::shared_ptr<const VrrpConfig> config) = 0;

  // Writes the state file and runs the instance's notify scripts: first the one of the state, then the general one with
  // `INSTANCE name STATE priority` appended. One at a time for an instance, in the order of the events; instances do
  // not wait for each other. Of the events that come while one is told only the last is told after it.
  virtual void notify(NotifyEvent event) = 0;

  // Scripts that this host cannot start now, or that may not be run, for as long as it is so. Never waits.
  [[nodiscard]] virtual std::vector<status::Problem> problems() const = 0;

  // Check scripts are ended, notify scripts of events already given still run (for at most two seconds more).
  virtual void stop() = 0;
};

}  // namespace vipkeeper::run
