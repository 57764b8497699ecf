// The return-path thread: what it decides is in ReturnPath; here are the thread, its queue, its clock and the kernel.
//
//     configuration -> return path    apply(): a queue of depth one, merged by virtual service
//     return path -> anyone           settled(), status(), problems(), counters(): published each turn
//
// A thread of its own, because the way to a packet filter is long: iptables is a program, its lock belongs to whoever
// is quicker, and a table with kube-proxy's thousands of rules is read and written whole. Neither VRRP nor IPVS waits
// for any of it. Whether somebody else has changed the rules is told by the kernel (nftables), or asked for twice a
// second at the price of a few system calls (iptables), and only while there are rules.
//
// At the end the rules go after the virtual services that they are for.

#include "engine/run/services/return_path_loop.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <utility>

#include "engine/net/filter/iptables_rules.h"
#include "engine/net/filter/nft_rules.h"
#include "engine/net/netlink/attached_networks.h"
#include "engine/net/netlink/conntrack.h"
#include "engine/run/services/programming_log.h"
#include "engine/run/thread/log.h"

namespace vipkeeper::run {
namespace {

constexpr const char* thread_name = "return_path";
constexpr int nice_value = 5;
constexpr auto look_interval = std::chrono::milliseconds(400);
constexpr const char* default_run_dir = "/run/vipkeeper";

// FNV-1a, 32 bits: the same in every version of this program.
std::string suffix_of(const std::string& run_dir) {
  if (run_dir == default_run_dir) return {};
  std::uint32_t hash = 2166136261U;
  for (const char c : run_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return fmt::format("-{:08x}", hash);
}

void log_line(LogLevel level, const std::string& line) {
  if (level == LogLevel::info) return log_info(line);
  if (level == LogLevel::warning) return log_warning(line);
  log_error(line);
}

}  // namespace

ReturnPathDoors kernel_return_path(const std::string& run_dir) {
  ReturnPathDoors doors;
  const std::string suffix = suffix_of(run_dir);
  doors.ways.push_back(std::make_unique<net::NftRules>("vipkeeper" + suffix, thread_name));
  doors.ways.push_back(std::make_unique<net::IptablesRules>(suffix));
  doors.read_networks = net::read_attached_networks;
  doors.forget_flows = [](std::span<const return_path::ServicePort> services) -> Result<void> {
    if (const auto forgotten = net::forget_udp_flows(services); !forgotten) return std::unexpected(forgotten.error());
    return {};
  };
  return doors;
}

Result<std::unique_ptr<ReturnPathLoop>> ReturnPathLoop::start(ReturnPathDoors doors) {
  auto loop = net::EventLoop::create();
  if (!loop) return std::unexpected(loop.error().with_context("starting the return-path thread"));
  std::unique_ptr<ReturnPathLoop> result(new ReturnPathLoop(std::move(*loop), std::move(doors)));
  result->thread_ = std::thread([self = result.get()] { self->run(); });
  return result;
}

ReturnPathLoop::ReturnPathLoop(std::unique_ptr<net::EventLoop> loop, ReturnPathDoors doors)
    : loop_(std::move(loop)), inputs_([this] { loop_->post([] {}); }, merge), doors_(std::move(doors)) {}

ReturnPathLoop::~ReturnPathLoop() { stop(); }

void ReturnPathLoop::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), thread_name);
  // Looking after rules, and the programs that this starts, come after whoever programs IPVS (the thread alone:
  // setpriority(2)).
  ::setpriority(PRIO_PROCESS, 0, nice_value);

  ReturnPath rules(std::move(doors_), log_line);
  net::Timer timer(*loop_, [&] { rules.look(); });
  int watched = -1;
  loop_->at_turn_end([&] {
    work(rules, timer, watched);
    return false;
  });
  loop_->run();
  loop_->at_turn_end(nullptr);
  if (watched >= 0) loop_->unwatch(watched);
  if (remove_rules_.load()) rules.remove_all();
}

void ReturnPathLoop::work(ReturnPath& rules, net::Timer& timer, int& watched) {
  net::EventLoop& loop = *loop_;
  if (auto input = inputs_.take()) {
    rules.apply(input->servers, input->complete);
    applied_ = input->number;
  }
  rules.turn(loop.now());
  loop.refresh_now();
  settled_at_.store(rules.settled() ? applied_ : 0);
  Told told{rules.status(), rules.problems(), {}};
  rules.add_to(told.counters);
  told_.publish(std::make_shared<const Told>(std::move(told)));

  if (const int events = rules.events(); events != watched) {
    if (watched >= 0) loop.unwatch(watched);
    watched = events;
    if (watched >= 0) (void)loop.watch(watched, [&rules] { rules.look(); });
  }
  auto deadline = rules.next_deadline();
  // Nobody tells: it has to be asked for.
  const TimePoint look = loop.now() + look_interval;
  if (watched < 0 && rules.has_rules() && (!deadline || look < *deadline)) deadline = look;
  if (deadline)
    timer.arm(*deadline);
  else
    timer.disarm();
}

void ReturnPathLoop::apply(VirtualServers delta, bool complete) {
  const std::uint64_t number = submitted_.fetch_add(1) + 1;
  inputs_.put({std::move(delta), complete, number});
}

bool ReturnPathLoop::settled() const {
  const std::uint64_t number = submitted_.load();
  return number != 0 && settled_at_.load() == number;
}

status::ReturnPathStatus ReturnPathLoop::status() const {
  const auto told = told_.get();
  return told ? told->status : status::ReturnPathStatus{};
}

std::vector<status::Problem> ReturnPathLoop::problems() const {
  const auto told = told_.get();
  return told ? told->problems : std::vector<status::Problem>{};
}

status::Counters ReturnPathLoop::counters() const {
  const auto told = told_.get();
  return told ? told->counters : status::Counters{};
}

void ReturnPathLoop::stop(bool remove_rules) {
  const std::lock_guard lock(stop_mutex_);
  if (std::exchange(stopped_, true)) return;
  remove_rules_.store(remove_rules);
  inputs_.close();
  loop_->stop();
  thread_.join();
}

}  // namespace vipkeeper::run
