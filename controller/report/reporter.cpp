// What the cluster is told: Events and the status of Services.
//
//     "controller -> reporter"   problems, addresses of LoadBalancer Services: the newest of each
//     "sources -> reporter"      the answer to the one request that is under way
//     the engine                 who is the Active Router, what the host does not let it do: looked at each second
//        -> EventSeries, ServiceStatus   what is to be written, and when: pure
//        -> edges.send                   one request at a time, with a pause between two
//
// Thread: one of its own, which waits for its queue and for deadlines, never for the network. Nothing waits for it:
// what is told to it is merged while it is busy, and what it cannot get rid of is dropped. The data path does not know
// it.
//
// Who speaks. All nodes see the same ConfigMap and Services, and one voice is enough: that of the node that holds the
// virtual router's addresses, which the nodes know without asking each other. While there is no virtual router (no
// entry is good) the node of the highest rank speaks, which would hold it. What is this node's own (no IPVS, no place
// among the Nodes) every node says for itself. Services' status is written by the holder alone.
// docs/decisions/0010-who-writes-events.md has the reasons.

#include "controller/report/reporter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>

#include "engine/base/latest_queue.h"

namespace vipkeeper::report {

namespace {

constexpr Duration between_requests = std::chrono::milliseconds(50);

template <class T>
void take_newer(std::optional<T>& older, std::optional<T>& newer) {
  if (newer) older = std::move(newer);
}

}  // namespace

class Reporter::Mailbox {
 public:
  void put(Input input) { queue_.put(std::move(input)); }
  std::optional<Input> take() { return queue_.take(); }
  void close() { queue_.close(); }
  [[nodiscard]] bool closed() const { return queue_.closed(); }

  void wait_until(TimePoint deadline) {
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, deadline, [this] { return woken_; });
    woken_ = false;
  }

 private:
  void wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    wake_.notify_one();
  }

  static Input merge(Input older, Input newer) {
    take_newer(older.plan.problems, newer.plan.problems);
    take_newer(older.plan.has_router, newer.plan.has_router);
    take_newer(older.plan.first_in_rank, newer.plan.first_in_rank);
    for (auto& [service, ingress] : newer.plan.ingress)
      older.plan.ingress.insert_or_assign(service, std::move(ingress));
    take_newer(older.answer, newer.answer);
    return older;
  }

  std::mutex mutex_;  // guards woken_
  std::condition_variable wake_;
  bool woken_ = false;
  LatestQueue<Input> queue_{[this] { wake(); }, merge};
};

Reporter::Reporter(Reporting who, ReporterEdges edges, std::uint32_t seed)
    : who_(std::move(who)),
      edges_(std::move(edges)),
      mailbox_(std::make_shared<Mailbox>()),
      events_({.instance = who_.node}, seed),
      notices_(who_) {
  thread_ = std::thread([this] { run(); });
}

Reporter::~Reporter() { stop(); }

void Reporter::plan_changed(PlanReport report) { mailbox_->put({.plan = std::move(report)}); }

void Reporter::stop() {
  mailbox_->close();
  if (thread_.joinable()) thread_.join();
}

std::vector<status::Problem> Reporter::problems() const {
  const std::lock_guard lock(status_mutex_);
  return problems_;
}

status::Counters Reporter::counters() const {
  const std::lock_guard lock(status_mutex_);
  return counters_;
}

void Reporter::run() {
  while (!mailbox_->closed()) {
    mailbox_->wait_until(deadline());
    const Moment at{Clock::now(), std::chrono::system_clock::now()};
    if (auto input = mailbox_->take()) take(at, std::move(*input));
    if (at.now >= look_at_) look_at_host(at);
    send_next(at);
    publish();
  }
}

TimePoint Reporter::deadline() const {
  TimePoint first = look_at_;
  if (asked_ != Asked::nobody) return first;
  for (const auto& due : {events_.deadline(), services_.deadline()}) {
    if (due) first = std::min(first, std::max(*due, send_after_));
  }
  return first;
}

void Reporter::take(const Moment& at, Input input) {
  if (input.answer) {
    const Asked was = std::exchange(asked_, Asked::nobody);
    if (was == Asked::events) events_.answered(at, *input.answer);
    if (was == Asked::services) services_.answered(at, *input.answer);
    send_after_ = at.now + between_requests;
  }
  for (auto& [service, ingress] : input.plan.ingress) services_.want(at, service, std::move(ingress));
  if (input.plan.problems) plan_problems_ = std::move(*input.plan.problems);
  if (input.plan.has_router) has_router_ = *input.plan.has_router;
  if (input.plan.first_in_rank) first_in_rank_ = *input.plan.first_in_rank;
  update_notices(at);
}

void Reporter::take_routers(const Moment& at, const std::map<std::string, std::string>& routers) {
  std::set<std::string> now;
  for (const auto& [router, state] : routers) {
    if (state == "MASTER") now.insert(router);
  }
  for (const auto& router : now) {
    if (!active_.contains(router)) events_.observe(at, transition_notice(who_, router, true));
  }
  for (const auto& router : active_) {
    if (!now.contains(router)) events_.observe(at, transition_notice(who_, router, false));
  }
  active_ = std::move(now);
  services_.set_active(!active_.empty());
}

void Reporter::update_notices(const Moment& at) {
  std::vector<status::Problem> all = plan_problems_;
  all.insert(all.end(), host_problems_.begin(), host_problems_.end());
  notices_.update(at, all, !active_.empty() || (!has_router_ && first_in_rank_), events_);
}

void Reporter::look_at_host(const Moment& at) {
  look_at_ = at.now + edges_.look;
  HostReport host = edges_.read_host();
  const bool was_active = !active_.empty();
  take_routers(at, host.routers);
  if (host.problems == host_problems_ && was_active == !active_.empty()) return;
  host_problems_ = std::move(host.problems);
  update_notices(at);
}

void Reporter::send_next(const Moment& at) {
  if (asked_ != Asked::nobody || at.now < send_after_) return;
  asked_ = Asked::services;
  auto request = services_.next(at);
  if (!request) {
    asked_ = Asked::events;
    request = events_.next(at);
  }
  if (!request) {
    asked_ = Asked::nobody;
    return;
  }
  edges_.send(std::move(*request), [mailbox = std::weak_ptr(mailbox_)](ApiAnswer answer) {
    if (const auto to = mailbox.lock()) to->put({.answer = std::move(answer)});
  });
}

void Reporter::publish() {
  auto problems = events_.problems();
  std::ranges::copy(services_.problems(), std::back_inserter(problems));
  status::Counters counters;
  events_.count(counters);
  services_.count(counters);
  const std::lock_guard lock(status_mutex_);
  for (const auto& problem : problems) {
    if (std::ranges::find(problems_, problem) == problems_.end())
      spdlog::warn("{}: {}", problem.object, problem.message);
  }
  problems_ = std::move(problems);
  counters_ = std::move(counters);
}

}  // namespace vipkeeper::report
