// The VRRP thread: all virtual routers of this host, their timers, raw sockets, addresses and announcements.
//
// It waits for nothing but its own event loop. Configurations come through a queue of depth one, in which the newest
// wins; results of check scripts are posted; transitions leave through a callback that only queues. The status is an
// immutable value published when something in it changed, and the counters beside it are atomics, so that whoever asks
// neither wakes nor delays this thread.
//
// Timers: one deadline a router (Active_Down_Timer or Adver_Timer), one for its second block of gratuitous ARP, one for
// the refresh, if any; and one here that holds back the publishing of a very large status.
//
// Invariants:
//  - A virtual router is (interface, VRID, family). A reload that leaves these alone keeps its state, whatever else it
//    changes; the addresses that stay are not touched.
//  - Removals go before additions: a router that the configuration no longer has gives its addresses back before the
//    others are told, since one of those may be given them.
//  - Work on addresses is done in pieces at the end of each turn, so that many addresses do not keep ADVERTISEMENTs
//    waiting (a peer would take over).
//  - Without the rights it needs the loop does not start; in a dry run it opens nothing that needs them, and its
//  routers
//    stay in INIT.
//
// Standards: RFC 9568, RFC 3768; behaviour where these are silent is keepalived's.

#include "engine/run/vrrp_loop.h"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "engine/base/latest_queue.h"
#include "engine/base/published.h"
#include "engine/run/heartbeat.h"
#include "engine/run/realtime.h"
#include "engine/run/vrrp_router.h"

namespace vipkeeper::run {
namespace {

// How long one turn may spend on addresses.
constexpr auto turn_budget = std::chrono::milliseconds(2);

struct PublishedRouter {
  status::VirtualRouterStatus status;
  std::shared_ptr<const RouterCounters> counters;
};
using PublishedRouters = std::vector<PublishedRouter>;

using NumberedConfig = std::pair<std::uint64_t, std::shared_ptr<const VrrpConfig>>;

std::uint64_t read(const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

status::VrrpCounters read_counters(const RouterCounters& counters) {
  status::VrrpCounters result;
  result.adverts_received = read(counters.adverts_received);
  result.adverts_sent = read(counters.adverts_sent);
  result.became_master = read(counters.became_master);
  result.released_master = read(counters.released_master);
  result.priority_zero_received = read(counters.priority_zero_received);
  result.priority_zero_sent = read(counters.priority_zero_sent);
  for (std::size_t reason = 0; reason < counters.discarded.size(); ++reason) {
    result.discarded[std::string(to_string(static_cast<vrrp::DropReason>(reason)))] =
        read(counters.discarded.at(reason));
  }
  return result;
}

class RunningVrrpLoop final : public VrrpLoop {
 public:
  RunningVrrpLoop(VrrpLoopOptions options, std::unique_ptr<net::EventLoop> loop,
                  std::unique_ptr<net::LinkMonitor> monitor)
      : options_(std::move(options)),
        loop_(std::move(loop)),
        monitor_(std::move(monitor)),
        sockets_(*loop_, [this] { counters_.unknown_vrid_packets.fetch_add(1, std::memory_order_relaxed); }),
        edge_{*loop_},
        publish_later_(*loop_, [this] { publish(); }),
        queue_([this] { loop_->post([this] { take_configuration(); }); }) {
    edge_.network = &monitor_->state();
    edge_.counters = &counters_;
    edge_.on_transition = &options_.on_transition;
    edge_.script_health = [this](const std::string& name) {
      const auto script = scripts_.find(name);
      return script == scripts_.end() ? vrrp::Health::unknown : script->second.verdict.health();
    };
    published_.publish(std::make_shared<const PublishedRouters>());
  }
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
    loop_->post([this, result = std::move(result)] { record(result); });
  }
  std::shared_ptr<const std::vector<status::VirtualRouterStatus>> status() const override;
  status::Counters counters() const override;
  bool settled() const override { return done_.load() == given_.load(); }
  bool answers() const override { return heartbeat_.answers(); }
  void stop() override;

 private:
  struct Script {
    std::shared_ptr<const config::VrrpScript> config;
    vrrp::ScriptVerdict verdict;
  };

  void run();
  void remove_leftovers();
  void take_configuration();
  void configure(const VrrpConfig& config);
  void configure_scripts(const VrrpConfig& config);
  void record(const ScriptResult& result);
  void read_network();
  bool end_turn();
  void publish();
  void shut_down();

  VrrpLoopOptions options_;
  std::unique_ptr<net::EventLoop> loop_;
  mutable Heartbeat heartbeat_{*loop_};
  std::unique_ptr<net::LinkMonitor> monitor_;
  std::unique_ptr<net::AddressTable> addresses_;
  std::unique_ptr<net::ArpAnnouncer> announcer_;
  LoopCounters counters_;
  VrrpSockets sockets_;
  VrrpEdge edge_;
  net::Timer publish_later_;
  LogLimiter limiter_;
  std::map<RouterId, std::unique_ptr<RunningRouter>> routers_;
  std::vector<RunningRouter*> in_order_;  // of the configuration
  std::map<std::string, Script> scripts_;
  std::size_t work_next_ = 0;
  TimePoint publish_not_before_{};
  Published<PublishedRouters> published_;
  std::atomic<std::uint64_t> given_{0}, done_{0};  // configurations: the last one given, the last one worked in
  LatestQueue<NumberedConfig> queue_;
  std::thread thread_;
};

Result<void> RunningVrrpLoop::open_kernel() {
  if (auto allowed = net::VrrpSocket::check_permission(); !allowed) return allowed;
  auto announcer = net::ArpAnnouncer::open();
  if (!announcer) return std::unexpected(announcer.error());
  auto addresses = net::AddressTable::open();
  if (!addresses) return std::unexpected(addresses.error());
  announcer_ = std::move(*announcer);
  addresses_ = std::move(*addresses);
  edge_.sockets = &sockets_;
  edge_.announcer = announcer_.get();
  edge_.addresses = addresses_.get();
  return {};
}

Result<void> RunningVrrpLoop::begin() {
  if (auto watched = loop_->watch(monitor_->fd(), [this] { read_network(); }); !watched) return watched;
  loop_->at_turn_end([this] { return end_turn(); });
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

// Not before a configuration is known: until then an address left behind is the best there is (the API server may be
// reached by it). Or at the end.
void RunningVrrpLoop::remove_leftovers() {
  const auto leftovers = std::exchange(options_.leftover_addresses, {});
  if (leftovers.empty()) return;
  std::vector<net::AddressOperation> operations;
  for (const auto& owned : leftovers) {
    const net::Link* link = monitor_->state().find_link(owned.interface);
    if (link == nullptr || !monitor_->state().has_address(link->index, owned.prefix)) continue;
    operations.push_back(
        {net::AddressOperation::Kind::remove, link->index, owned.interface, owned.prefix, 0, std::string(), {}});
    log_info("removing " + owned.prefix.to_string() + " from " + owned.interface + ", left by an earlier run");
  }
  for (const auto& failure : addresses_->apply(operations)) log_warning(failure.message);
  // The removals were notified to the monitor; the routers must not see the addresses any more.
  read_network();
}

void RunningVrrpLoop::take_configuration() {
  const auto taken = queue_.take();
  if (!taken) return;
  if (!options_.dry_run) become_realtime(taken->second->globals.realtime_priority, taken->second->globals.lock_memory);
  configure(*taken->second);
  counters_.configurations.fetch_add(1, std::memory_order_relaxed);
  publish();
  done_.store(taken->first);
}

void RunningVrrpLoop::configure(const VrrpConfig& config) {
  if (addresses_) remove_leftovers();
  configure_scripts(config);
  std::map<RouterId, std::shared_ptr<const config::VrrpInstance>> wanted;
  std::vector<RouterId> order;
  for (const auto& instance : config.instances) {
    const auto id = RouterId::of(*instance);
    if (id.family != Family::ipv4) {
      log_error("(" + instance->name + ") VRRP for IPv6 addresses is not supported, the instance is ignored");
    } else if (!wanted.emplace(id, instance).second) {
      log_error("(" + instance->name + ") has the same interface and virtual_router_id as (" + wanted[id]->name +
                "), it is ignored");
    } else {
      order.push_back(id);
    }
  }
  in_order_.clear();
  for (auto router = routers_.begin(); router != routers_.end();) {
    if (wanted.contains(router->first)) {
      ++router;
      continue;
    }
    router->second->shut_down();
    router = routers_.erase(router);
  }
  for (const auto& id : order) {
    auto& router = routers_[id];
    const bool is_new = router == nullptr;
    if (is_new) router = std::make_unique<RunningRouter>(edge_, wanted[id]);
    is_new ? router->start() : router->reconfigure(wanted[id]);
    in_order_.push_back(router.get());
  }
}

void RunningVrrpLoop::configure_scripts(const VrrpConfig& config) {
  std::set<std::string> names;
  for (const auto& script : config.scripts) {
    names.insert(script->name);
    const auto known = scripts_.find(script->name);
    if (known == scripts_.end()) {
      scripts_.emplace(script->name,
                       Script{script, vrrp::ScriptVerdict(script->rise, script->fall, script->init_fail)});
    } else if (*known->second.config != *script) {
      known->second.verdict.configure(script->rise, script->fall);
      known->second.config = script;
    }
  }
  std::erase_if(scripts_, [&](const auto& entry) { return !names.contains(entry.first); });
}

void RunningVrrpLoop::record(const ScriptResult& result) {
  const auto script = scripts_.find(result.script);
  if (script == scripts_.end() || !script->second.verdict.record(result.success)) return;
  if (result.success) {
    log_info("VRRP_Script(" + result.script + ") succeeded");
  } else {
    log_warning("VRRP_Script(" + result.script + ") " +
                (result.timed_out ? "timed_out" : "failed (" + result.detail + ")"));
  }
  for (auto* router : in_order_) router->set_script_health(result.script, script->second.verdict.health());
}

void RunningVrrpLoop::read_network() {
  const auto changes = monitor_->read_changes();
  if (!changes) {
    if (const auto held_back = limiter_.admit(loop_->now(), "network")) {
      log_error("cannot follow the interfaces: " + changes.error().message + LogLimiter::suffix(*held_back));
    }
    return;
  }
  if (changes->empty()) return;
  for (const auto& [before, after] : changes->links) {
    if (!before || !after || before->usable() == after->usable()) continue;
    const bool watched = std::ranges::any_of(
        in_order_, [&](const RunningRouter* router) { return router->config().interface == after->name; });
    if (watched) log_info("Netlink reports " + after->name + (after->usable() ? " up" : " down"));
  }
  for (auto* router : in_order_) router->network_changed(*changes);
}

bool RunningVrrpLoop::end_turn() {
  bool more = false;
  const TimePoint enough = loop_->now() + turn_budget;
  for (std::size_t i = 0; i < in_order_.size(); ++i) {
    // Each turn begins with another router, so that all of them come on.
    if (++work_next_ >= in_order_.size()) work_next_ = 0;
    more = in_order_[work_next_]->work() || more;
    if (more && Clock::now() > enough) break;
  }
  bool changed = false;
  for (auto* router : in_order_) changed = router->take_changed() || changed;
  if (changed) publish();
  return more;
}

// At most a twentieth of the thread's time goes into publishing: a status with ten thousand addresses takes
// milliseconds to make.
void RunningVrrpLoop::publish() {
  const TimePoint begin = Clock::now();
  if (begin < publish_not_before_) {
    if (!publish_later_.armed()) publish_later_.arm(publish_not_before_);
    return;
  }
  auto routers = std::make_shared<PublishedRouters>();
  routers->reserve(in_order_.size());
  for (const auto* router : in_order_) routers->push_back({router->status(), router->counters()});
  published_.publish(std::move(routers));
  const Duration cost = Clock::now() - begin;
  publish_not_before_ = cost < std::chrono::microseconds(200) ? TimePoint{} : begin + 20 * cost;
}

std::shared_ptr<const std::vector<status::VirtualRouterStatus>> RunningVrrpLoop::status() const {
  const auto routers = published_.get();
  auto result = std::make_shared<std::vector<status::VirtualRouterStatus>>();
  result->reserve(routers->size());
  for (const auto& router : *routers) {
    result->push_back(router.status);
    result->back().counters = read_counters(*router.counters);
  }
  return result;
}

status::Counters RunningVrrpLoop::counters() const {
  return {{"vrrp_unknown_vrid_packets", read(counters_.unknown_vrid_packets)},
          {"vrrp_send_errors", read(counters_.send_errors)},
          {"vrrp_announcements_sent", read(counters_.announcements_sent)},
          {"vrrp_addresses_added", read(counters_.addresses_added)},
          {"vrrp_addresses_removed", read(counters_.addresses_removed)},
          {"vrrp_addresses_restored", read(counters_.addresses_restored)},
          {"vrrp_address_errors", read(counters_.address_errors)},
          {"vrrp_configurations", read(counters_.configurations)}};
}

void RunningVrrpLoop::shut_down() {
  if (options_.release_vips) {
    if (addresses_) remove_leftovers();
    for (auto* router : in_order_) router->shut_down();
  }
  publish_not_before_ = {};
  publish();
  in_order_.clear();
  routers_.clear();
  loop_->stop();
}

void RunningVrrpLoop::stop() {
  if (!thread_.joinable()) return;
  queue_.close();
  loop_->post([this] { shut_down(); });
  thread_.join();
}

}  // namespace

Result<std::unique_ptr<VrrpLoop>> VrrpLoop::start(VrrpLoopOptions options) {
  auto loop = net::EventLoop::create();
  if (!loop) return std::unexpected(loop.error().with_context("start VRRP"));
  auto monitor = net::LinkMonitor::open();
  if (!monitor) return std::unexpected(monitor.error().with_context("start VRRP"));
  const bool dry_run = options.dry_run;
  auto result = std::make_unique<RunningVrrpLoop>(std::move(options), std::move(*loop), std::move(*monitor));
  if (!dry_run) {
    if (auto opened = result->open_kernel(); !opened) return std::unexpected(opened.error().with_context("start VRRP"));
  }
  if (auto begun = result->begin(); !begun) return std::unexpected(begun.error().with_context("start VRRP"));
  return result;
}

}  // namespace vipkeeper::run
