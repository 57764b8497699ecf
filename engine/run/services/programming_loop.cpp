// The programming thread: IPVS and health checks.
//
//     configuration -> programming    apply(): a queue of depth one, merged by virtual service
//     probes' ends                    TcpProber, in the same loop
//     programming -> anyone           settled(), counters(), problems(): published each turn; status(): asked for
//
// What is decided is in Programmer, pure but for the kernel's table that it is given; here are the thread, the queue,
// the clock, the probes and the log. A turn takes what came in, lets the programmer do a step of some thousand
// commands, starts the probes that are due, publishes what it counted, and sleeps until the next deadline. Netlink to
// IPVS blocks for as long as the kernel works (microseconds a command), and loading a module may take a second: nothing
// else runs on this thread, and above all not VRRP. A thread that does not come back from there is a problem of the
// status and makes this host not ready; it is no reason to restart the process, which would cost the addresses.
//
// Status is put together when it is asked for, not with each change, because its size is that of the configuration
// while a change is small. It is built here, so that no lock is needed, and handed over as an immutable value.
//
// At the end own virtual services are deleted, after VRRP has let the addresses go (the engine's shutdown order), so
// that packets still arriving are balanced until then.

#include "engine/run/services/programming_loop.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <utility>

#include "engine/ipvs/dry_run_table.h"
#include "engine/run/services/programming_log.h"
#include "engine/run/services/virtual_service.h"
#include "engine/run/thread/log.h"

namespace vipkeeper::run {
namespace {

constexpr auto status_within = std::chrono::seconds(2);

std::size_t probes_allowed() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 2048;
  return std::clamp<std::size_t>(limit.rlim_cur / 3, 16, 2048);
}

status::Problem stuck(const std::optional<Activity::Doing>& doing) {
  const std::string what =
      doing ? fmt::format("since {:%Y-%m-%dT%H:%M:%SZ} it waits for {}",
                          fmt::gmtime(std::chrono::system_clock::to_time_t(doing->since)), doing->what)
            : "it is busy";
  return {true, "IPVS",
          fmt::format("the programming thread does not answer: {}; virtual services stay as they are and real servers "
                      "are not checked until it goes on, addresses are not affected; see dmesg on the host",
                      what)};
}

void log_line(LogLevel level, const std::string& line) {
  switch (level) {
    case LogLevel::info:
      return log_info(line);
    case LogLevel::warning:
      return log_warning(line);
    case LogLevel::error:
      return log_error(line);
  }
}

}  // namespace

// All that lives on the thread.
class ProgrammingLoop::Worker {
 public:
  // Without `prober` nothing is checked, so every real server counts as alive.
  Worker(ProgrammingLoop& owner, std::unique_ptr<ipvs::KernelTable> table, std::unique_ptr<net::TcpProber> prober)
      : owner_(owner),
        table_(std::move(table)),
        log_(log_line, owner.options_.dry_run ? "dry run: " : ""),
        programmer_(*table_, owner.options_.ownership,
                    [this](LogLevel level, const std::string& line) { log_.write(level, line, owner_.loop_->now()); },
                    {static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()),
                     prober != nullptr, owner.options_.audit_interval, owner.options_.prepare_kernel}),
        timer_(*owner.loop_, [] {}),
        prober_(std::move(prober)),
        probes_at_once_(owner.options_.probes_at_once != 0 ? owner.options_.probes_at_once : probes_allowed()) {}

  void handle(check::ProbeId id, const check::Outcome& outcome) {
    programmer_.handle(id, outcome, owner_.loop_->now());
  }

  // The turn's end; true: there is more to do at once.
  bool work() {
    net::EventLoop& loop = *owner_.loop_;
    if (auto input = owner_.inputs_.take()) {
      const Activity::Step step(owner_.activity_, "the disk, for the record of what is owned");
      programmer_.apply(input->servers, input->complete, loop.now());
      applied_ = input->number;
    }
    const bool more = programmer_.turn(loop.now());
    loop.refresh_now();
    log_.turn(loop.now());
    start_probes();
    publish();
    arm();
    return more;
  }

  void remove_all() {
    programmer_.remove_all(owner_.loop_->refresh_now());
    log_.flush();
    publish();
  }
  void resync() { programmer_.resync(); }
  [[nodiscard]] Statuses status() const {
    return std::make_shared<const std::vector<status::VirtualServiceStatus>>(programmer_.status());
  }

 private:
  void start_probes() {
    if (!prober_ || prober_->under_way() >= probes_at_once_) return;
    for (const check::Probe& probe : programmer_.take_due(owner_.loop_->now(), probes_at_once_ - prober_->under_way()))
      prober_->start(probe);
  }

  void publish() {
    owner_.told_.publish(std::make_shared<const Told>(Told{programmer_.counters(), programmer_.problems()}));
    owner_.settled_at_.store(programmer_.settled() ? applied_ : 0);
  }

  void arm() {
    auto deadline = programmer_.next_deadline(owner_.loop_->now());
    // A check that is due and found no free place is started when another ends.
    if (deadline && *deadline <= owner_.loop_->now() && prober_ && prober_->under_way() >= probes_at_once_)
      deadline = owner_.loop_->now() + std::chrono::milliseconds(100);
    if (const auto lines = log_.deadline(); lines && (!deadline || *lines < *deadline)) deadline = lines;
    // Another thread may have failed to write the record and does not wake this one, which tries it again.
    const TimePoint look = owner_.loop_->now() + std::chrono::minutes(1);
    if (owner_.options_.ownership != nullptr && (!deadline || look < *deadline)) deadline = look;
    if (deadline)
      timer_.arm(*deadline);
    else
      timer_.disarm();
  }

  ProgrammingLoop& owner_;
  std::unique_ptr<ipvs::KernelTable> table_;
  ProgrammingLog log_;
  Programmer programmer_;
  net::Timer timer_;  // only wakes the loop
  std::unique_ptr<net::TcpProber> prober_;
  const std::size_t probes_at_once_;
  std::uint64_t applied_ = 0;
};

Result<std::unique_ptr<ProgrammingLoop>> ProgrammingLoop::start(ProgrammingLoopOptions options) {
  auto loop = net::EventLoop::create();
  if (!loop) return std::unexpected(loop.error().with_context("starting the programming thread"));
  std::unique_ptr<ProgrammingLoop> programming(new ProgrammingLoop(std::move(*loop), std::move(options)));
  programming->thread_ = std::thread([self = programming.get()] { self->run(); });
  return programming;
}

ProgrammingLoop::ProgrammingLoop(std::unique_ptr<net::EventLoop> loop, ProgrammingLoopOptions options)
    : loop_(std::move(loop)),
      heartbeat_(*loop_),
      inputs_([this] { loop_->post([] {}); }, merge),
      options_(std::move(options)),
      has_stats_(!options_.dry_run && options_.table == nullptr) {
  if (!options_.prepare_kernel) return;
  options_.prepare_kernel = [this, ask = std::move(options_.prepare_kernel)] {
    const Activity::Step step(activity_, "the kernel, asked for its switches");
    return ask();
  };
}

ProgrammingLoop::~ProgrammingLoop() { stop(); }

void ProgrammingLoop::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), "programming");

  auto table = std::move(options_.table);
  if (!table && options_.dry_run)
    table = std::make_unique<ipvs::DryRunTable>(net::IpvsNetlink(false).read().value_or(ipvs::Table{}));
  if (!table) table = std::make_unique<net::IpvsNetlink>();
  table = watched(std::move(table), activity_);
  std::unique_ptr<net::TcpProber> prober;
  if (!options_.dry_run) {
    auto created = net::TcpProber::create(
        *loop_, [this](check::ProbeId id, const check::Outcome& outcome) { worker_->handle(id, outcome); });
    if (created)
      prober = std::move(*created);
    else
      log_error("health checks are off: " + created.error().message);
  }
  Worker worker(*this, std::move(table), std::move(prober));
  worker_ = &worker;
  loop_->at_turn_end([&] { return worker.work(); });
  loop_->run();
  loop_->at_turn_end(nullptr);
  worker_ = nullptr;
}

void ProgrammingLoop::apply(VirtualServers delta, bool complete) {
  const std::uint64_t number = submitted_.fetch_add(1) + 1;
  inputs_.put({std::move(delta), complete, number});
}

void ProgrammingLoop::resync() {
  loop_->post([this] { worker_->resync(); });
}

bool ProgrammingLoop::settled() const {
  const std::uint64_t number = submitted_.load();
  return number != 0 && settled_at_.load() == number && (ending_.load() || heartbeat_.answers());
}

ProgrammingLoop::Statuses ProgrammingLoop::status() const {
  if (!ending_.load()) {
    const auto promise = std::make_shared<std::promise<Statuses>>();
    auto answer = promise->get_future();
    loop_->post([this, promise] { promise->set_value(worker_->status()); });
    if (answer.wait_for(status_within) == std::future_status::ready) last_status_.publish(answer.get());
  }
  auto last = last_status_.get();
  return last ? last : std::make_shared<const std::vector<status::VirtualServiceStatus>>();
}

std::vector<status::VirtualServiceStatus> ProgrammingLoop::status_with_stats() const {
  auto services = *status();
  if (!has_stats_ || services.empty()) return services;
  const std::lock_guard lock(stats_mutex_);
  // Without IPVS problems() has said so already.
  if (const auto stats = stats_table_.read_stats()) add_stats(services, *stats);
  return services;
}

status::Counters ProgrammingLoop::counters() const {
  status::Counters result;
  const auto told = told_.get();
  (told ? told->counters : ProgrammingCounters{}).add_to(result);
  return result;
}

std::vector<status::Problem> ProgrammingLoop::problems(TimePoint at) const {
  std::vector<status::Problem> result;
  if (const auto told = told_.get()) result = *told->problems;
  if (!ending_.load() && !heartbeat_.answers(at)) result.push_back(stuck(activity_.now()));
  return result;
}

void ProgrammingLoop::stop(bool delete_services) {
  const std::lock_guard lock(stop_mutex_);
  if (std::exchange(stopped_, true)) return;
  ending_.store(true);
  inputs_.close();
  loop_->post([this, delete_services] {
    if (delete_services && !options_.dry_run) worker_->remove_all();
    loop_->stop();
  });
  thread_.join();
}

}  // namespace vipkeeper::run
