#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controller/loop/config_file.h"
#include "controller/objects/source.h"
#include "controller/plan/options.h"
#include "controller/plan/planner.h"
#include "controller/render/renderer.h"
#include "engine/base/clock.h"
#include "engine/base/latest_queue.h"
#include "engine/config/config.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::loop {

struct ControllerOptions {
  plan::PlanOptions plan;
  std::string source_name;  // apiserver or manifests, for status
  std::string config_file;  // where the text is shown; empty: nowhere
};

// What the engine says to a change of the text.
struct EngineAnswer {
  bool applied = false;
  std::vector<config::Problem> problems;
};

// The edges the loop stands between. All are called on the controller thread.
struct ControllerEdges {
  std::function<EngineAnswer(const config::FragmentChange&)> apply;
  // This host's interfaces and their addresses now; the rule for where a VIP goes depends on them.
  std::function<std::vector<plan::HostInterface>()> read_interfaces;
};

// One thread from objects to text: takes what the source says, plans, renders and hands the changed fragments to the
// engine. See the essay in controller_loop.cpp.
class ControllerLoop {
 public:
  ControllerLoop(ControllerOptions options, render::Templates templates, ControllerEdges edges);
  // Stops, if stop() was not called.
  ~ControllerLoop();
  ControllerLoop(const ControllerLoop&) = delete;
  ControllerLoop& operator=(const ControllerLoop&) = delete;

  // What a source's sink hands in; any thread, never waits.
  void put(objects::ObjectBatch batch);
  void stop();

  // Any thread.
  [[nodiscard]] status::ConfigStatus status() const;
  // fragments_rendered, entries_planned, object_changes.
  [[nodiscard]] status::Counters counters() const;

 private:
  void run();
  bool wait_until(TimePoint deadline);
  [[nodiscard]] TimePoint next_look() const;
  void take(objects::ObjectBatch batch);
  void work_in(const plan::PlanChange& change);
  void hand_over();
  void hand_over_one_by_one();
  void accepted(const config::FragmentChange& change);
  void show();
  void publish_problems();

  const ControllerOptions options_;
  const ControllerEdges edges_;

  std::mutex wake_mutex_;  // guards woken_
  std::condition_variable wake_;
  bool woken_ = false;
  LatestQueue<objects::ObjectBatch> queue_;  // "source -> controller": batches merge in order

  // The controller thread's own.
  plan::Planner planner_;
  render::Renderer renderer_;
  TimePoint looked_at_interfaces_{};
  bool ready_ = false;
  std::vector<objects::SourceProblem> source_problems_;
  std::string render_problem_;                                           // empty: none
  config::FragmentChange pending_;                                       // rendered, not taken by the engine
  config::FragmentChange accepted_;                                      // what the engine runs
  std::map<std::string, std::vector<config::Problem>> engine_problems_;  // by refused fragment
  std::set<status::Problem> reported_;                                   // the last list, so that each is logged once
  std::unique_ptr<ConfigFile> file_;
  TimePoint stale_since_{};
  bool file_stale_ = false;

  mutable std::mutex status_mutex_;  // guards the two below
  status::ConfigStatus status_;
  status::Counters counters_;

  std::thread thread_;  // last: it uses all above
};

}  // namespace vipkeeper::loop
