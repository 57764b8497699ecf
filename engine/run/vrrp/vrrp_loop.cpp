// The VRRP thread: it runs a router::Station, which decides, and does what that wants done.
//
// It waits for nothing but its own event loop, and takes no lock that others hold: addresses are changed, and the host
// is read anew, by a thread of their own (HostWorker), to which work goes in values and whose answers are posted back.
// Configurations come through a queue of depth one, in which the newest wins; results of check scripts are posted;
// transitions leave through a callback that only queues. The status is an immutable value a router, made anew when
// something of that router changed, and the counters beside it are atomics, so that whoever asks neither wakes nor
// delays this thread.
//
// Timers: one, at the station's next deadline; and one that holds back the publishing of a very large status.
//
// Invariants:
//  - Every event is followed by carrying out all that the station wants, in order, before the next event.
//  - Packets of a turn are handed over together, and before the timers that are due (net::EventLoop).
//  - At the end priority 0 of all routers has left before the first address goes; the thread ends when the addresses
//    are gone, or after ten seconds of a kernel that does not let them go. (A kernel that answers nothing at all holds
//    up the worker, and with it the end.)
//  - Without the rights it needs the loop does not start; in a dry run it opens nothing that needs them.
//
// Standards: RFC 9568, RFC 3768; behaviour where these are silent is keepalived's.

#include "engine/run/vrrp/vrrp_loop.h"

#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "engine/base/latest_queue.h"
#include "engine/net/arp_announcer.h"
#include "engine/net/netlink/kernel_host.h"
#include "engine/router/line_budget.h"
#include "engine/router/station.h"
#include "engine/run/thread/heartbeat.h"
#include "engine/run/thread/log.h"
#include "engine/run/thread/realtime.h"
#include "engine/run/vrrp/host_worker.h"
#include "engine/run/vrrp/router_status.h"
#include "engine/run/vrrp/vrrp_sockets.h"

namespace vipkeeper::run {
namespace {

constexpr Duration farewell = std::chrono::seconds(10);
constexpr Duration slow_kernel = std::chrono::seconds(5);

using NumberedConfig = std::pair<std::uint64_t, std::shared_ptr<const VrrpConfig>>;

struct LoopCounters {
  std::atomic<std::uint64_t> unknown_vrid_packets{0}, send_errors{0}, configurations{0}, announcements{0},
      addresses_added{0}, addresses_removed{0}, addresses_restored{0}, address_errors{0}, host_readings{0};
};

std::string notify_word(vrrp::State state) {
  return state == vrrp::State::initialize ? "STOP" : std::string(to_string(state));
}

void count(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

void write_line(router::Say::Level level, const std::string& text) {
  switch (level) {
    case router::Say::Level::detail:
      return log_detail(text);
    case router::Say::Level::info:
      return log_info(text);
    case router::Say::Level::warning:
      return log_warning(text);
    case router::Say::Level::error:
      return log_error(text);
  }
}

class RunningVrrpLoop final : public VrrpLoop {
 public:
  RunningVrrpLoop(VrrpLoopOptions options, std::unique_ptr<net::EventLoop> loop, std::unique_ptr<net::KernelHost> host,
                  host::NetworkState first)
      : options_(std::move(options)),
        loop_(std::move(loop)),
        host_(std::move(host)),
        station_({options_.dry_run, options_.leftover_addresses}, std::move(first)),
        sockets_(*loop_,
                 {[this](router::RouterNumber number, const router::Packet& packet) { station_.offer(number, packet); },
                  [this] {
                    station_.packets_taken(loop_->now());
                    carry_out();
                  },
                  [this] { count(counters_.unknown_vrid_packets); }}),
        deadline_(*loop_,
                  [this] {
                    station_.timer(loop_->now());
                    carry_out();
                  }),
        queue_([this] { loop_->post([this] { take_configuration(); }); }) {}
  ~RunningVrrpLoop() override { RunningVrrpLoop::stop(); }
  RunningVrrpLoop(const RunningVrrpLoop&) = delete;
  RunningVrrpLoop& operator=(const RunningVrrpLoop&) = delete;

  Result<void> open_kernel();
  Result<void> begin();

  void apply(std::shared_ptr<const VrrpConfig> config) override {
    const auto generation = given_.fetch_add(1) + 1;
    queue_.put({generation, std::move(config)});
  }
  void script_result(ScriptResult result) override {
    loop_->post([this, result = std::move(result)] {
      station_.script_result(loop_->now(), result);
      carry_out();
    });
  }
  std::shared_ptr<const std::vector<status::VirtualRouterStatus>> status() const override;
  status::Counters counters() const override;
  std::vector<status::Problem> problems() const override;
  bool settled() const override { return done_.load() == given_.load(); }
  bool answers() const override { return heartbeat_.answers(); }
  void stop() override;

 private:
  void run();
  void take_configuration();
  void host_done(HostWorker::Done done);
  void carry_out();
  void perform(const router::Send& send);
  void perform(const router::OpenSocket& open);
  void perform(const router::CloseSocket& close);
  void perform(const router::AnnounceOn& announce);
  void perform(router::ApplyPiece& apply) { worker_->apply(std::move(apply.piece)); }
  void perform(const router::ReadHost& read) { worker_->read(read.number); }
  void perform(const router::Changed& changed);
  void perform(const router::Line& line) { write_line(line.level, line.text); }
  bool end_turn();
  void limited_warning(const std::string& line);
  void shut_down();

  VrrpLoopOptions options_;
  std::unique_ptr<net::EventLoop> loop_;
  mutable Heartbeat heartbeat_{*loop_};
  std::unique_ptr<net::KernelHost> host_;
  std::unique_ptr<net::ArpAnnouncer> announcer_;  // null in a dry run
  std::unique_ptr<HostWorker> worker_;
  LoopCounters counters_;
  router::Station station_;
  VrrpSockets sockets_;
  net::Timer deadline_;
  net::Timer farewell_{*loop_, [] {}};  // only wakes the loop: the turn's end looks whether it is over
  router::LineBudget budget_;
  RouterPublisher shown_{*loop_, station_};
  bool carrying_out_ = false;
  std::optional<TimePoint> ends_at_;               // while the last addresses leave
  std::atomic<std::uint64_t> given_{0}, done_{0};  // configurations: the last one given, the last one worked in
  LatestQueue<NumberedConfig> queue_;
  std::thread thread_;
};

Result<void> RunningVrrpLoop::open_kernel() {
  if (auto allowed = net::VrrpSocket::check_permission(); !allowed) return allowed;
  auto announcer = net::ArpAnnouncer::open();
  if (!announcer) return std::unexpected(announcer.error());
  if (auto allowed = host_->allow_changes(); !allowed) return allowed;
  announcer_ = std::move(*announcer);
  return {};
}

Result<void> RunningVrrpLoop::begin() {
  const auto read = [this] {
    station_.host_said(loop_->now(), host_->changes());
    carry_out();
  };
  if (auto watched = loop_->watch(host_->fd(), read); !watched) return watched;
  loop_->at_turn_end([this] { return end_turn(); });
  worker_ = std::make_unique<HostWorker>(
      *host_, HostWorker::Record{options_.claim, options_.release}, [this](HostWorker::Done done) {
        loop_->post([this, done = std::move(done)]() mutable { host_done(std::move(done)); });
      });
  // Signals are for main(): this thread is never interrupted by one.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void RunningVrrpLoop::run() {
  pthread_setname_np(pthread_self(), "vrrp");
  loop_->run();
}

void RunningVrrpLoop::take_configuration() {
  auto taken = queue_.take();
  if (!taken || ends_at_) return;
  if (!options_.dry_run) become_realtime(taken->second->globals.realtime_priority, taken->second->globals.lock_memory);
  station_.configure(loop_->now(), *taken->second);
  carry_out();
  count(counters_.configurations);
  shown_.publish();
  done_.store(taken->first);
}

void RunningVrrpLoop::host_done(HostWorker::Done done) {
  if (auto* read = std::get_if<HostWorker::Read>(&done)) {
    station_.host_read(loop_->now(), read->number, std::move(read->state));
  } else {
    station_.applied(loop_->now(), std::get<HostWorker::Applied>(done).answers);
  }
  carry_out();
}

// Until nothing is left: what is done here may lead to more.
void RunningVrrpLoop::carry_out() {
  if (std::exchange(carrying_out_, true)) return;
  for (auto outputs = station_.take_outputs(); !outputs.empty(); outputs = station_.take_outputs()) {
    for (auto& output : outputs) {
      std::visit([this](auto& wish) { perform(wish); }, output);
    }
  }
  carrying_out_ = false;
  if (const auto next = station_.next_deadline()) {
    deadline_.arm(*next);
  } else {
    deadline_.disarm();
  }
}

void RunningVrrpLoop::perform(const router::Send& send) {
  auto advertisement = send.envelope->advertisement;
  advertisement.priority = send.priority;
  for (const IpAddress& destination : send.envelope->destinations) {
    const auto payload = vrrp::serialize_advertisement(advertisement, send.envelope->source, destination,
                                                       send.envelope->checksum_without_pseudo_header);
    const auto sent = sockets_.send(send.router, send.envelope->source, destination, payload);
    if (sent) continue;
    count(counters_.send_errors);
    if (sent.error().code == ErrorCode::not_found) continue;  // the interface's change has a line of its own
    limited_warning(sent.error().message);
  }
}

void RunningVrrpLoop::perform(const router::OpenSocket& open) {
  const auto opened = sockets_.open(open.router, station_.agent(open.router).instance().vrid, open.at);
  station_.listened(loop_->now(), open.router, opened);
}

void RunningVrrpLoop::perform(const router::CloseSocket& close) { sockets_.close(close.router); }

void RunningVrrpLoop::perform(const router::AnnounceOn& announce) {
  const auto announced = announcer_->announce(announce.link, announce.addresses);
  if (!announced.error.empty()) limited_warning(announced.error);
  if (announced.count >= announce.addresses.size() || !announced.error.empty()) return;
  const auto rest = std::span(announce.addresses).subspan(announced.count);
  station_.not_announced(loop_->now(), announce.link.index, {rest.begin(), rest.end()});
}

void RunningVrrpLoop::perform(const router::Changed& changed) {
  shown_.note(changed);
  if (!options_.on_transition) return;
  options_.on_transition({changed.instance, notify_word(changed.transition.to), changed.transition.priority});
}

bool RunningVrrpLoop::end_turn() {
  const bool more = station_.work(loop_->now());
  carry_out();
  const auto& counted = station_.counters();
  counters_.announcements.store(counted.announcements, std::memory_order_relaxed);
  counters_.addresses_added.store(counted.addresses_added, std::memory_order_relaxed);
  counters_.addresses_removed.store(counted.addresses_removed, std::memory_order_relaxed);
  counters_.addresses_restored.store(counted.addresses_restored, std::memory_order_relaxed);
  counters_.address_errors.store(counted.address_errors, std::memory_order_relaxed);
  counters_.host_readings.store(counted.host_readings, std::memory_order_relaxed);
  shown_.turn_ended();
  if (ends_at_ && (station_.drained() || Clock::now() >= *ends_at_)) {
    const bool released = !options_.release_vips || options_.dry_run || station_.drained();
    if (!released) log_error("the kernel does not let the last addresses go; they stay in the record");
    loop_->stop();
  }
  return more;
}

void RunningVrrpLoop::limited_warning(const std::string& line) {
  if (const auto admitted = budget_.admit(loop_->now(), line)) log_warning(*admitted);
}

std::shared_ptr<const std::vector<status::VirtualRouterStatus>> RunningVrrpLoop::status() const {
  return std::make_shared<const std::vector<status::VirtualRouterStatus>>(shown_.status());
}

std::vector<status::Problem> RunningVrrpLoop::problems() const {
  std::vector<status::Problem> result = shown_.problems();
  if (const auto busy = worker_->busy_since(); busy && Clock::now() > *busy + slow_kernel) {
    result.push_back({true, "addresses",
                      "the kernel has not answered a change or a reading of addresses for some seconds: somebody "
                      "holds its lock over all interfaces, or the disk under the run directory does not answer; "
                      "ADVERTISEMENTs go on"});
  }
  return result;
}

status::Counters RunningVrrpLoop::counters() const {
  const auto read = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  return {{"vrrp_unknown_vrid_packets", read(counters_.unknown_vrid_packets)},
          {"vrrp_send_errors", read(counters_.send_errors)},
          {"vrrp_announcements_sent", read(counters_.announcements)},
          {"vrrp_addresses_added", read(counters_.addresses_added)},
          {"vrrp_addresses_removed", read(counters_.addresses_removed)},
          {"vrrp_addresses_restored", read(counters_.addresses_restored)},
          {"vrrp_address_errors", read(counters_.address_errors)},
          {"vrrp_host_readings", read(counters_.host_readings)},
          {"vrrp_configurations", read(counters_.configurations)}};
}

void RunningVrrpLoop::shut_down() {
  ends_at_ = Clock::now();
  if (options_.release_vips && !options_.dry_run) {
    *ends_at_ += farewell;
    farewell_.arm(*ends_at_);
    station_.shut_down(loop_->now());
    carry_out();
  }
}

void RunningVrrpLoop::stop() {
  if (!thread_.joinable()) {
    if (worker_) worker_->stop();
    return;
  }
  queue_.close();
  loop_->post([this] { shut_down(); });
  thread_.join();
  worker_->stop();
}

}  // namespace

Result<std::unique_ptr<VrrpLoop>> VrrpLoop::start(VrrpLoopOptions options) {
  auto loop = net::EventLoop::create();
  if (!loop) return std::unexpected(loop.error().with_context("start VRRP"));
  auto host = net::KernelHost::open();
  if (!host) return std::unexpected(host.error().with_context("start VRRP"));
  // After subscribing: what changes while it is read comes again as a notification.
  auto first = (*host)->read();
  if (!first) return std::unexpected(first.error().with_context("start VRRP"));
  const bool dry_run = options.dry_run;
  auto result =
      std::make_unique<RunningVrrpLoop>(std::move(options), std::move(*loop), std::move(*host), std::move(*first));
  if (!dry_run) {
    if (auto opened = result->open_kernel(); !opened) return std::unexpected(opened.error().with_context("start VRRP"));
  }
  if (auto begun = result->begin(); !begun) return std::unexpected(begun.error().with_context("start VRRP"));
  return result;
}

}  // namespace vipkeeper::run
