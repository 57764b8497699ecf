#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/latest_queue.h"
#include "engine/base/published.h"
#include "engine/base/result.h"
#include "engine/net/event_loop.h"
#include "engine/net/netlink/ipvs_netlink.h"
#include "engine/net/tcp_probe.h"
#include "engine/run/services/programmer.h"
#include "engine/run/services/programming_activity.h"
#include "engine/run/thread/heartbeat.h"

namespace vipkeeper::run {

struct ProgrammingLoopOptions {
  bool dry_run = false;            // plan against what the kernel holds, tell it nothing, probe nothing
  Ownership* ownership = nullptr;  // outlives the loop; null: nothing is recorded
  // Null: the kernel's. Handed to the loop's thread.
  std::unique_ptr<ipvs::KernelTable> table = nullptr;
  // Called on the loop's thread once IPVS is used, and with each audit: Programmer::Options. Null: nothing is asked.
  std::function<std::vector<status::Problem>()> prepare_kernel = nullptr;
  Duration audit_interval = std::chrono::seconds(30);  // the kernel's table is read without a cause; 0: never
  std::size_t probes_at_once = 0;  // 0: a third of the file descriptors this process may have, at most 2048
};

// IPVS and health checks of one host, on a thread of its own. All functions from any thread; none waits for the kernel
// but stop(), status() and status_with_stats().
class ProgrammingLoop {
 public:
  static Result<std::unique_ptr<ProgrammingLoop>> start(ProgrammingLoopOptions options);
  // As stop(), unless that was called.
  ~ProgrammingLoop();
  ProgrammingLoop(const ProgrammingLoop&) = delete;
  ProgrammingLoop& operator=(const ProgrammingLoop&) = delete;

  // Virtual servers that changed; null: removed. `complete`: everything desired was told now, so what an earlier run
  // left beyond it may be deleted.
  void apply(VirtualServers delta, bool complete);
  // Reads the kernel's table again and puts right what differs.
  void resync();

  // All that was applied is in the kernel (or was refused by it, command by command, which problems() tells), and
  // `complete` was told. False while there are virtual services and the kernel has no IPVS, and while the thread is
  // stuck (problems()).
  [[nodiscard]] bool settled() const;

  // In the order of their keys, without connection counters. Waits for the thread's current turn, two seconds at most;
  // then, and after stop(), it is what was last asked for.
  [[nodiscard]] std::shared_ptr<const std::vector<status::VirtualServiceStatus>> status() const;
  // With the counters, read from the kernel now through a socket of its own.
  [[nodiscard]] std::vector<status::VirtualServiceStatus> status_with_stats() const;
  [[nodiscard]] status::Counters counters() const;
  // What the thread told, and that it is stuck: that it owes an answer since an earlier call of this or of settled(),
  // ten seconds before `at` or more, and what it waits for. To be called now and then.
  [[nodiscard]] std::vector<status::Problem> problems(TimePoint at = Clock::now()) const;

  // Deletes own virtual services (unless told not to) and ends the thread. Again: nothing.
  void stop(bool delete_services = true);

 private:
  struct Told {
    ProgrammingCounters counters;
    Programmer::Problems problems;
  };
  class Worker;
  using Statuses = std::shared_ptr<const std::vector<status::VirtualServiceStatus>>;

  ProgrammingLoop(std::unique_ptr<net::EventLoop> loop, ProgrammingLoopOptions options);
  void run();

  std::unique_ptr<net::EventLoop> loop_;
  mutable Heartbeat heartbeat_;
  Activity activity_;
  LatestQueue<ServerInput> inputs_;  // configuration -> programming
  std::atomic<std::uint64_t> submitted_{0};
  std::atomic<std::uint64_t> settled_at_{0};  // number of the input that the kernel shows; 0: none
  Published<Told> told_;
  mutable Published<std::vector<status::VirtualServiceStatus>> last_status_;
  ProgrammingLoopOptions options_;  // the thread's
  Worker* worker_ = nullptr;        // the thread's
  const bool has_stats_;
  mutable std::mutex stats_mutex_;  // guards the next
  mutable net::IpvsNetlink stats_table_{false};
  std::atomic<bool> ending_{false};
  std::mutex stop_mutex_;  // guards the two below
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace vipkeeper::run
