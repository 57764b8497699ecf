// The controller: from what a source says to the text that the engine runs.
//
//     "source -> controller"   batches of object changes, merged in order while this thread is busy
//        -> Planner            what the node is to do; only what the change touches is planned again
//        -> Renderer           only fragments whose values changed are rendered
//        -> edges.apply        the engine parses, validates and queues; it does not wait for the kernel
//     "controller -> file"     the whole text, shown behind
//
// Thread: one. It never waits for the kernel, the disk or the network, so the time from an object's arrival to the
// engine's queue is the time of the pure code for that one object.
//
// Invariants. Nothing is handed over before the source has told everything once and the own place among the nodes is
// known: until then an absent object means nothing. A source that fails says so and changes nothing. A fragment that
// the engine refuses (only a user's template can make one) stays pending, reported, and does not hold up the others;
// what the same fragment was before goes on running.
//
// Timers: the shown file is composed once changes have paused for 20 ms (or after 500 ms of unbroken changes), and the
// host's interfaces are looked at each second while the own place is unknown, else each 30 s.

#include "controller/loop/controller_loop.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <set>

namespace vipkeeper::loop {

namespace {

constexpr auto file_pause = std::chrono::milliseconds(20);
constexpr auto file_patience = std::chrono::milliseconds(500);
constexpr auto interface_look = std::chrono::seconds(30);
constexpr auto interface_look_waiting = std::chrono::seconds(1);

objects::ObjectBatch merged(objects::ObjectBatch older, objects::ObjectBatch newer) {
  older.changes.insert(older.changes.end(), std::make_move_iterator(newer.changes.begin()),
                       std::make_move_iterator(newer.changes.end()));
  older.synced = newer.synced;
  older.problems = std::move(newer.problems);
  return older;
}

}  // namespace

ControllerLoop::ControllerLoop(ControllerOptions options, render::Templates templates, ControllerEdges edges)
    : options_(std::move(options)),
      edges_(std::move(edges)),
      queue_(
          [this] {
            {
              const std::lock_guard lock(wake_mutex_);
              woken_ = true;
            }
            wake_.notify_one();
          },
          merged),
      planner_(options_.plan),
      renderer_(std::move(templates)),
      file_(options_.config_file.empty() ? nullptr : std::make_unique<ConfigFile>(options_.config_file)) {
  status_.source = options_.source_name;
  thread_ = std::thread([this] { run(); });
}

ControllerLoop::~ControllerLoop() { stop(); }

void ControllerLoop::put(objects::ObjectBatch batch) { queue_.put(std::move(batch)); }

void ControllerLoop::stop() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

status::ConfigStatus ControllerLoop::status() const {
  const std::lock_guard lock(status_mutex_);
  status::ConfigStatus result = status_;
  if (file_) {
    if (std::string problem = file_->problem(); !problem.empty()) {
      result.problems.push_back({false, "file " + options_.config_file, std::move(problem)});
    }
  }
  return result;
}

status::Counters ControllerLoop::counters() const {
  const std::lock_guard lock(status_mutex_);
  return counters_;
}

// False: the deadline came before a wake-up.
bool ControllerLoop::wait_until(TimePoint deadline) {
  std::unique_lock lock(wake_mutex_);
  const bool woken = wake_.wait_until(lock, deadline, [this] { return woken_; });
  woken_ = false;
  return woken;
}

TimePoint ControllerLoop::next_look() const {
  return looked_at_interfaces_ + (ready_ ? Duration(interface_look) : Duration(interface_look_waiting));
}

void ControllerLoop::run() {
  TimePoint last_change{};
  while (!queue_.closed()) {
    const TimePoint now = Clock::now();
    if (now >= next_look()) {
      looked_at_interfaces_ = now;
      if (auto interfaces = edges_.read_interfaces(); interfaces != planner_.interfaces()) {
        work_in(planner_.set_interfaces(std::move(interfaces)));
      }
    }
    TimePoint deadline = next_look();
    if (file_stale_) deadline = std::min({deadline, last_change + file_pause, stale_since_ + file_patience});
    if (wait_until(deadline)) {
      if (auto batch = queue_.take()) take(std::move(*batch));
      last_change = Clock::now();
    }
    // After a change, too: with one always waiting there would be no other moment.
    if (file_stale_ && Clock::now() >= std::min(last_change + file_pause, stale_since_ + file_patience)) show();
  }
  if (file_stale_) show();
}

void ControllerLoop::take(objects::ObjectBatch batch) {
  const bool problems_changed = batch.problems != source_problems_;
  source_problems_ = std::move(batch.problems);
  const plan::PlanChange change = planner_.apply(batch.changes, batch.synced);
  {
    const std::lock_guard lock(status_mutex_);
    status_.synced = batch.synced;
    counters_["object_changes"] += batch.changes.size();
  }
  work_in(change);
  if (problems_changed) publish_problems();
}

void ControllerLoop::work_in(const plan::PlanChange& change) {
  ready_ = change.ready;
  auto rendered = renderer_.apply(change);
  render_problem_ = rendered ? "" : rendered.error().message;
  if (rendered) {
    for (auto& [id, fragment] : *rendered) {
      engine_problems_.erase(id);
      pending_[id] = std::move(fragment);
    }
  }
  if (ready_) hand_over();
  {
    const std::lock_guard lock(status_mutex_);
    const auto& planned = planner_.counters();
    counters_["entries_judged"] = planned.entries_judged;
    counters_["forwardings_planned"] = planned.forwardings_planned;
    counters_["fragments_rendered"] = renderer_.rendered();
  }
  if (!change.problems.empty() || !rendered) publish_problems();
}

void ControllerLoop::hand_over() {
  // Fragments that were refused are tried again only when their text is another.
  config::FragmentChange change;
  for (const auto& [id, fragment] : pending_) {
    if (!engine_problems_.contains(id)) change[id] = fragment;
  }
  bool first = false;
  {
    const std::lock_guard lock(status_mutex_);
    first = status_.generation == 0;
  }
  if (change.empty() && !first) return;
  const EngineAnswer answer = edges_.apply(change);
  if (!answer.applied) {
    hand_over_one_by_one();
    return;
  }
  for (const config::Problem& warning : answer.problems) spdlog::warn("{}", warning.to_string());
  accepted(change);
}

void ControllerLoop::hand_over_one_by_one() {
  const config::FragmentChange change = pending_;
  for (const auto& [id, fragment] : change) {
    if (engine_problems_.contains(id)) continue;
    const config::FragmentChange one{{id, fragment}};
    EngineAnswer answer = edges_.apply(one);
    if (answer.applied) {
      accepted(one);
    } else {
      engine_problems_[id] = std::move(answer.problems);
    }
  }
  publish_problems();
}

void ControllerLoop::accepted(const config::FragmentChange& change) {
  for (const auto& [id, fragment] : change) {
    pending_.erase(id);
    if (fragment) {
      accepted_[id] = fragment;
    } else {
      accepted_.erase(id);
    }
  }
  if (!file_stale_) stale_since_ = Clock::now();
  file_stale_ = file_ != nullptr;
  spdlog::debug("configuration applied: {} fragments changed", change.size());
  const std::lock_guard lock(status_mutex_);
  ++status_.generation;
  status_.applied_at = std::chrono::system_clock::now();
}

void ControllerLoop::show() {
  Fragments fragments;
  fragments.reserve(accepted_.size());
  for (const auto& [id, fragment] : accepted_) fragments.push_back(fragment);
  file_->show(std::move(fragments));
  file_stale_ = false;
}

void ControllerLoop::publish_problems() {
  std::vector<status::Problem> problems;
  for (const auto& problem : source_problems_) problems.push_back({problem.error, problem.object, problem.message});
  for (const auto& [object, list] : planner_.plan().problems) {
    for (const auto& problem : list) {
      problems.push_back({problem.severity == plan::Severity::error, problem.object, problem.message});
    }
  }
  if (!render_problem_.empty()) problems.push_back({true, "templates", render_problem_});
  for (const auto& [id, list] : engine_problems_) {
    for (const auto& problem : list) problems.push_back({true, "template output " + id, problem.to_string()});
  }
  for (const auto& problem : problems) {
    if (reported_.contains(problem)) continue;
    spdlog::log(problem.error ? spdlog::level::err : spdlog::level::warn, "{}: {}", problem.object, problem.message);
  }
  reported_ = {problems.begin(), problems.end()};
  const std::lock_guard lock(status_mutex_);
  status_.problems = std::move(problems);
}

}  // namespace vipkeeper::loop
