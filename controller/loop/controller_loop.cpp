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
// known: until then an absent object means nothing. A source that fails says so and changes nothing. Of a fragment
// the engine leaves out what it cannot use (only a user's template can make that), says so, and keeps its last good
// form. A change of which nothing can be used stays pending, reported, and does not hold up the others.
//
// Start without the API server. What it tells is kept in RUN_DIR/objects.json, behind everything. A source that has a
// problem before it has told everything, or that has not told it after three seconds, is done without: what was kept is
// planned and served, status says since when it is known (`synced` stays false), and when the source has told
// everything the difference is worked in. The last good texts of entries are taken from the file in any case: a bad
// entry keeps its good form over a restart. A file that cannot be used is said once, and nothing is concluded from it.
//
// Timers: the shown file is composed once changes have paused for 20 ms (or after 500 ms of unbroken changes), and the
// host's interfaces are looked at each second while the own place is unknown, else each 30 s.

#include "controller/loop/controller_loop.h"

#include <fmt/core.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "controller/loop/join_batches.h"

namespace vipkeeper::loop {

namespace {

constexpr auto file_pause = std::chrono::milliseconds(20);
constexpr auto file_patience = std::chrono::milliseconds(500);
constexpr auto interface_look = std::chrono::seconds(30);
constexpr auto interface_look_waiting = std::chrono::seconds(1);
// Ten times what the first plan of 10,000 Services takes on a slow machine.
constexpr auto stuck_after = std::chrono::seconds(30);

std::unique_ptr<ObjectsFile> open_objects_file(const std::optional<ObjectsFileOptions>& options) {
  return options ? std::make_unique<ObjectsFile>(*options) : nullptr;
}

// A bad entry's last good form survives a restart. Says what is wrong with the file.
plan::Memory memory_of(const ObjectsFile* file, bool& usable) {
  plan::Memory memory;
  usable = false;
  if (file == nullptr) return memory;
  auto saved = file->read(objects::Wanted::good_texts);
  if (saved) {
    usable = true;
    memory.good_texts = std::move(saved->good_texts);
  } else if (saved.error().code != ErrorCode::not_found) {
    spdlog::warn("{}; it is not used, and written anew once the API server has told everything", saved.error().message);
  }
  return memory;
}

// Before all others whose addresses are known; the one that VRRP would choose.
bool is_first_in_rank(const std::optional<plan::NodePlace>& place) {
  return place && !place->left_out &&
         std::ranges::none_of(place->peers, [&](const auto& peer) { return peer > place->address; });
}

// A problem has a line when it comes; an object that has none any more, one when the last goes.
void log_mended(const std::vector<objects::SourceProblem>& were, const std::vector<objects::SourceProblem>& are) {
  const auto names = [](const std::vector<objects::SourceProblem>& problems) {
    std::set<std::string> result;
    for (const auto& problem : problems) result.insert(problem.object);
    return result;
  };
  const auto still = names(are);
  for (const auto& object : names(were)) {
    if (!still.contains(object)) spdlog::info("{}: all is well again", object);
  }
}

}  // namespace

ControllerLoop::ControllerLoop(ControllerOptions options, render::Templates templates, ControllerEdges edges)
    : options_(std::move(options)),
      edges_(std::move(edges)),
      queue_([this] { wake(); }, BatchJoin()),
      objects_file_(open_objects_file(options_.objects_file)),
      planner_(options_.plan, memory_of(objects_file_.get(), saved_usable_)),
      renderer_(std::move(templates)),
      file_(options_.config_file.empty() ? nullptr : std::make_unique<ConfigFile>(options_.config_file)) {
  status_.source = options_.source_name;
  tried_saved_ = !saved_usable_;
  thread_ = std::thread([this] { run(); });
}

ControllerLoop::~ControllerLoop() { stop(); }

void ControllerLoop::put(objects::ObjectBatch batch) { queue_.put(std::move(batch)); }

void ControllerLoop::stop() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

std::string ControllerLoop::stuck() const {
  const Clock::rep now = Clock::now().time_since_epoch().count();
  Clock::rep since = 0;
  if (asked_since_.compare_exchange_strong(since, now)) {
    wake();
    return "";
  }
  return Duration(now - since) < stuck_after ? "" : "the controller thread does not answer";
}

status::ConfigStatus ControllerLoop::status() const {
  const std::lock_guard lock(status_mutex_);
  status::ConfigStatus result = status_;
  if (file_) {
    if (std::string problem = file_->problem(); !problem.empty()) {
      result.problems.push_back({false, "file " + options_.config_file, std::move(problem)});
    }
  }
  if (objects_file_) {
    if (std::string problem = objects_file_->problem(); !problem.empty()) {
      result.problems.push_back({false, "file " + options_.objects_file->path, std::move(problem)});
    }
  }
  return result;
}

status::Counters ControllerLoop::counters() const {
  const std::lock_guard lock(status_mutex_);
  return counters_;
}

void ControllerLoop::wake() const {
  {
    const std::lock_guard lock(wake_mutex_);
    woken_ = true;
  }
  wake_.notify_one();
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
  pthread_setname_np(pthread_self(), "controller");
  started_ = Clock::now();
  while (!queue_.closed()) {
    asked_since_.store(0);
    turn(Clock::now());
    TimePoint deadline = next_look();
    if (file_stale_) deadline = std::min({deadline, last_change_ + file_pause, stale_since_ + file_patience});
    if (!live_ && !tried_saved_) deadline = std::min(deadline, started_ + options_.patience);
    woken_up_ = wait_until(deadline);
  }
  if (file_stale_) show();
}

void ControllerLoop::turn(TimePoint now) {
  if (std::exchange(woken_up_, false)) {
    if (auto batch = queue_.take()) {
      take(std::move(*batch));
      last_change_ = Clock::now();
    }
  }
  // After a change, too: with one always waiting there would be no other moment.
  if (file_stale_ && Clock::now() >= std::min(last_change_ + file_pause, stale_since_ + file_patience)) show();
  if (!live_ && !tried_saved_ && now >= started_ + options_.patience) serve_saved();
  if (now < next_look()) return;
  looked_at_interfaces_ = now;
  if (auto interfaces = edges_.read_interfaces(); interfaces != planner_.interfaces()) {
    work_in(planner_.set_interfaces(std::move(interfaces)));
  }
}

void ControllerLoop::take(objects::ObjectBatch batch) {
  const bool problems_changed = batch.problems != source_problems_;
  const auto were = std::exchange(source_problems_, std::move(batch.problems));
  log_mended(were, source_problems_);
  {
    const std::lock_guard lock(status_mutex_);
    status_.synced = batch.synced;
    counters_["object_changes"] += batch.changes.size();
  }
  if (live_) {
    work_in(planner_.apply(batch.changes, true));
    keep(std::move(batch.changes));
  } else {
    first_sync_.hold(std::move(batch.changes));
    const bool failing = std::ranges::any_of(source_problems_, &objects::SourceProblem::error);
    if (batch.synced) {
      go_live();
      return;
    }
    if (failing && !tried_saved_) serve_saved();
  }
  if (problems_changed) publish_problems();
}

void ControllerLoop::go_live() {
  live_ = true;
  if (!saved_at_.empty())
    spdlog::info("the API server has told everything: what was known at {} is done with", saved_at_);
  saved_at_.clear();
  auto changes = first_sync_.finish();
  work_in(planner_.apply(changes, true));
  keep(std::move(changes));
  publish_problems();
  const auto& balancers = planner_.plan().load_balancers;
  report({.problems = {}, .load_balancers = {balancers.begin(), balancers.end()}});
}

void ControllerLoop::serve_saved() {
  tried_saved_ = true;
  auto saved = objects_file_->read(objects::Wanted::all);
  if (!saved) {
    spdlog::warn("{}; it is not used", saved.error().message);
    return;
  }
  saved_at_ = saved->saved_at;
  const auto objects = as_own(std::move(saved->objects), options_.plan.pod_namespace, options_.plan.pod_name);
  first_sync_.in_force(objects);
  work_in(planner_.apply(objects, true));
  publish_problems();
}

// For a start without the source.
void ControllerLoop::keep(std::vector<objects::ObjectChange> changes) {
  if (!objects_file_) return;
  std::optional<GoodTexts> good_texts;
  if (const auto judged = planner_.counters().entries_judged; judged != entries_judged_) {
    entries_judged_ = judged;
    good_texts = planner_.memory().good_texts;
  }
  if (!changes.empty() || good_texts) objects_file_->note(std::move(changes), std::move(good_texts));
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
  if (change.vrrp_changed || !change.load_balancers.empty())
    report({.problems = {}, .load_balancers = change.load_balancers});
}

void ControllerLoop::report(PlanNews news) {
  if (!live_ || !edges_.report) return;
  news.has_router = planner_.plan().vrrp != nullptr;
  news.first_in_rank = is_first_in_rank(planner_.memory().place);
  edges_.report(std::move(news));
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
  for (const config::Problem& problem : answer.problems) {
    const bool error = problem.severity == config::Severity::error;
    spdlog::log(error ? spdlog::level::err : spdlog::level::warn, "{}", problem.to_string());
  }
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
  if (!saved_at_.empty()) {
    problems.push_back({false, "API server",
                        fmt::format("has told nothing since the start: serving what was known at {}, from {}",
                                    saved_at_, options_.objects_file->path)});
  }
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
  report({.problems = problems, .load_balancers = {}});
  const std::lock_guard lock(status_mutex_);
  status_.problems = std::move(problems);
}

}  // namespace vipkeeper::loop
