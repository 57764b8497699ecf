#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/config/config.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

struct EngineOptions {
  std::string run_dir = "/run/vipkeeper";  // owned.json
  std::string state_file;                  // /var/run/keepalived.state for instance "vips"; empty: none
  bool dry_run = false;                    // parse, plan and show; no kernel state, no packets
  // At shutdown: priority 0, and addresses, virtual services and rules are taken away; else all of it stays.
  bool release_vips = true;
};

// What one call of apply() did.
struct ApplyReport {
  bool applied = false;  // false: nothing of the text can be used and nothing changed, see problems
  // What this change left out (errors) or corrected. What is left out of all that runs: Engine::problems().
  std::vector<config::Problem> problems;
};

// The engine of one host: VRRP, the changes of addresses, IPVS and health checks, the rules of
// the return path, and scripts have a thread each. Construction
// starts the threads, destruction stops them in order (priority 0 sent, addresses removed, then own IPVS entries).
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> start(EngineOptions options);
  virtual ~Engine() = default;

  // Parses and validates the change and queues it for the threads. From one thread only (the controller's or the file
  // watcher's); does not wait for the kernel.
  virtual ApplyReport apply(const config::FragmentChange& change) = 0;

  // Everything desired was handed over at least once and the programming thread has caught up.
  virtual bool settled() const = 0;

  // Virtual routers, virtual services and counters (connection counters are read from the kernel now). Any thread.
  virtual status::Snapshot snapshot() const = 0;

  // The virtual routers alone; what is wrong with the text that runs, as long as it is, and what this host does not let
  // the engine do. Any thread; neither waits.
  virtual std::vector<status::VirtualRouterStatus> virtual_routers() const = 0;
  virtual std::vector<status::Problem> problems() const = 0;

  // Why a restart would help: the VRRP thread has not answered for seconds. Empty: it would not. Other threads that are
  // stuck are problems(). Any thread; does not wait.
  virtual std::string stuck() const = 0;

  // The ordered shutdown; the destructor calls it too. Waits until the kernel was told.
  virtual void stop() = 0;
};

}  // namespace vipkeeper::run
