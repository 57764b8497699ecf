#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/config/config.h"
#include "engine/net/address_table.h"
#include "engine/net/arp_announcer.h"
#include "engine/net/event_loop.h"
#include "engine/net/link_monitor.h"
#include "engine/run/vrrp_addresses.h"
#include "engine/run/vrrp_config.h"
#include "engine/run/vrrp_log.h"
#include "engine/run/vrrp_sockets.h"
#include "engine/status/snapshot.h"
#include "engine/vrrp/tracking.h"
#include "engine/vrrp/virtual_router.h"

namespace vipkeeper::run {

// What identifies a virtual router across reloads (its name does not).
struct RouterId {
  std::string interface;
  std::uint8_t vrid = 0;
  Family family = Family::ipv4;

  static RouterId of(const config::VrrpInstance& instance);
  auto operator<=>(const RouterId&) const = default;
};

// Written by the VRRP thread, read by anybody at any time.
struct RouterCounters {
  std::atomic<std::uint64_t> adverts_received{0}, adverts_sent{0}, became_master{0}, released_master{0};
  std::atomic<std::uint64_t> priority_zero_received{0}, priority_zero_sent{0};
  std::array<std::atomic<std::uint64_t>, 10> discarded{};  // by vrrp::DropReason
};

struct LoopCounters {
  std::atomic<std::uint64_t> unknown_vrid_packets{0}, send_errors{0}, announcements_sent{0}, addresses_added{0},
      addresses_removed{0}, addresses_restored{0}, address_errors{0}, configurations{0};
};

// What the virtual routers of a loop share. All of it lives longer than they do.
struct VrrpEdge {
  net::EventLoop& loop;
  const net::NetworkState* network = nullptr;
  VrrpSockets* sockets = nullptr;
  net::AddressTable* addresses = nullptr;  // these three are null in a dry run
  net::ArpAnnouncer* announcer = nullptr;
  LoopCounters* counters = nullptr;
  const std::function<void(NotifyEvent)>* on_transition = nullptr;
  std::function<vrrp::Health(const std::string&)> script_health = {};
};

// One virtual router at work: the state machine of engine/vrrp, and around it what turns its actions into packets and
// addresses, and what happens on the host into its events. VRRP thread only.
class RunningRouter {
 public:
  RunningRouter(VrrpEdge& edge, std::shared_ptr<const config::VrrpInstance> config);
  ~RunningRouter();
  RunningRouter(const RunningRouter&) = delete;
  RunningRouter& operator=(const RunningRouter&) = delete;

  // Begins with the configuration it was made with.
  void start();
  // A reload with the same RouterId; the state is kept.
  void reconfigure(std::shared_ptr<const config::VrrpInstance> config);
  void set_script_health(const std::string& script, vrrp::Health health);
  // Links or addresses changed; the edge's network is the new state.
  void network_changed(const net::NetworkChanges& changes);
  // Priority 0 where Active, addresses removed, all of it done when this returns.
  void shut_down();

  // Adds, removes and announces a piece of what is outstanding. False: nothing is left.
  bool work();
  // The status changed since the last call.
  bool take_changed() { return std::exchange(changed_, false); }
  // Without counters.
  [[nodiscard]] status::VirtualRouterStatus status() const;
  [[nodiscard]] std::shared_ptr<const RouterCounters> counters() const { return counters_; }
  [[nodiscard]] const config::VrrpInstance& config() const { return *config_; }

 private:
  void observe_host();
  void open_socket();
  void close_socket();
  void reassess();
  void handle(const vrrp::Event& event);
  void receive(const net::Ipv4Packet& packet);
  void check_address_list(const vrrp::Advertisement& advertisement, const IpAddress& sender);
  void perform(const vrrp::SendAdvertisement& action);
  void perform(const vrrp::AddAddresses& action);
  void perform(const vrrp::RemoveAddresses& action);
  void perform(const vrrp::Announce& action);
  void perform(const vrrp::EnterState& action);
  void perform(const vrrp::LogLine& action);
  void second_block();
  void refresh();
  void apply_operations();
  void limited_warning(std::string_view kind, const std::string& line);
  [[nodiscard]] vrrp::Parameters parameters() const;
  [[nodiscard]] std::optional<IpAddress> find_source(int link_index) const;

  VrrpEdge& edge_;
  std::shared_ptr<const config::VrrpInstance> config_;
  std::optional<IpAddress> source_;  // before machine_, which is made with it
  vrrp::VirtualRouter machine_;
  vrrp::EffectivePriority tracking_;
  vrrp::Assessment told_;  // what the machine knows of it
  vrrp::Expectation expectation_;
  std::vector<IpAddress> advertised_;
  std::set<IpAddress> virtual_addresses_;
  std::set<std::string> watched_interfaces_;
  int link_index_ = 0;  // 0: the interface does not exist
  std::shared_ptr<SharedVrrpSocket> socket_;
  std::pair<int, IpAddress> socket_key_;
  std::string own_fault_;  // a fault that no tracker sees: no interface, no address, no socket; empty: none
  HeldAddresses held_;
  std::size_t piece_ = 64;  // operations in one go
  net::Timer deadline_, second_block_, refresh_;
  LogLimiter limiter_;
  std::vector<IpAddress> last_list_;  // of an advertisement that was found to differ or not
  bool peer_caused_ = false;          // the actions at hand come from a packet and change no state
  bool changed_ = true;
  WallTime since_{};
  std::deque<status::Transition> transitions_;
  std::shared_ptr<RouterCounters> counters_ = std::make_shared<RouterCounters>();
};

}  // namespace vipkeeper::run
