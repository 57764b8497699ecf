#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controller/loop/config_file.h"
#include "controller/loop/first_sync.h"
#include "controller/loop/objects_file.h"
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
  // Where the objects are kept for a start without the source; nullopt: nowhere, as for a source that is on disk
  // itself.
  std::optional<ObjectsFileOptions> objects_file{};
  // Without a problem of the source, how long to wait for it before what was kept is served.
  Duration patience = std::chrono::seconds(3);
};

// What the cluster may be told of a plan, as far as it changed.
struct PlanNews {
  std::optional<std::vector<status::Problem>> problems{};  // all there are
  bool has_router = false;
  bool first_in_rank = false;  // no other node comes before this one
  std::map<std::string, std::optional<plan::LoadBalancerPlan>> load_balancers{};
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
  // News, once the source has told everything; must not wait. May be empty.
  std::function<void(PlanNews)> report = {};
};

// One thread from objects to text: takes what the source says, plans, renders and hands the changed fragments to the
// engine. See the essay in controller_loop.cpp. Large: it wires the stages of one thread, each a class of its own, and
// counts what passes between them.
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
  // The thread owes an answer since an earlier call, half a minute ago or more, in words; empty: it does not. To be
  // called now and then.
  [[nodiscard]] std::string stuck() const;
  [[nodiscard]] status::ConfigStatus status() const;
  // fragments_rendered, entries_planned, object_changes.
  [[nodiscard]] status::Counters counters() const;

 private:
  void run();
  void wake() const;
  bool wait_until(TimePoint deadline);
  void turn(TimePoint now);
  [[nodiscard]] TimePoint next_look() const;
  void take(objects::ObjectBatch batch);
  void go_live();
  void serve_saved();
  void keep(std::vector<objects::ObjectChange> changes);
  void work_in(const plan::PlanChange& change);
  void hand_over();
  void hand_over_one_by_one();
  void accepted(const config::FragmentChange& change);
  void show();
  void publish_problems();
  void report(PlanNews news);

  const ControllerOptions options_;
  const ControllerEdges edges_;

  mutable std::mutex wake_mutex_;  // guards woken_
  mutable std::condition_variable wake_;
  mutable bool woken_ = false;
  LatestQueue<objects::ObjectBatch> queue_;  // "source -> controller": batches merge in order

  mutable std::atomic<Clock::rep> asked_since_{0};  // by stuck(); 0: answered

  // The controller thread's own.
  bool saved_usable_ = false;
  std::unique_ptr<ObjectsFile> objects_file_;
  plan::Planner planner_;
  render::Renderer renderer_;
  TimePoint looked_at_interfaces_{};
  bool ready_ = false;
  FirstSync first_sync_;
  bool live_ = false;         // the source has told everything
  bool tried_saved_ = false;  // what was kept is in force, or is of no use
  TimePoint started_{};
  bool woken_up_ = false;  // by the queue, not by a deadline
  TimePoint last_change_{};
  std::string saved_at_;              // of what is in force instead of the source's; empty: none is
  std::uint64_t entries_judged_ = 0;  // when the good texts were last kept
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
