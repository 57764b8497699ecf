#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/latest_queue.h"
#include "engine/base/published.h"
#include "engine/base/result.h"
#include "engine/net/event_loop.h"
#include "engine/run/services/return_path.h"

namespace vipkeeper::run {

// The kernel's own doors: nftables, then iptables, under names that belong to `run_dir`, so that two instances on one
// host do not meet.
ReturnPathDoors kernel_return_path(const std::string& run_dir);

// The packet filter's rules of one host, on a thread of its own: other programs hold its lock for seconds at times. All
// functions from any thread; none waits for the kernel but stop().
class ReturnPathLoop {
 public:
  static Result<std::unique_ptr<ReturnPathLoop>> start(ReturnPathDoors doors);
  // As stop(), unless that was called.
  ~ReturnPathLoop();
  ReturnPathLoop(const ReturnPathLoop&) = delete;
  ReturnPathLoop& operator=(const ReturnPathLoop&) = delete;

  // Virtual servers that changed; null: removed. `complete`: everything desired was told now.
  void apply(VirtualServers delta, bool complete);

  // What was applied is in the kernel, or was tried, which problems() tells.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] status::ReturnPathStatus status() const;
  [[nodiscard]] std::vector<status::Problem> problems() const;
  [[nodiscard]] status::Counters counters() const;

  // Takes the rules away (unless told not to) and ends the thread. Again: nothing.
  void stop(bool remove_rules = true);

 private:
  struct Told {
    status::ReturnPathStatus status;
    std::vector<status::Problem> problems;
    status::Counters counters;
  };

  ReturnPathLoop(std::unique_ptr<net::EventLoop> loop, ReturnPathDoors doors);
  void run();
  void work(ReturnPath& rules, net::Timer& timer, int& watched);

  std::unique_ptr<net::EventLoop> loop_;
  LatestQueue<ServerInput> inputs_;  // configuration -> return path
  ReturnPathDoors doors_;            // the thread's
  std::atomic<std::uint64_t> submitted_{0};
  std::atomic<std::uint64_t> settled_at_{0};  // number of the input that the kernel shows; 0: none
  std::uint64_t applied_ = 0;                 // the thread's
  Published<Told> told_;
  std::atomic<bool> remove_rules_{true};
  std::mutex stop_mutex_;  // guards the next
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace vipkeeper::run
