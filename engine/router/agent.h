#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/config/config.h"
#include "engine/router/agent_events.h"
#include "engine/router/hearing.h"
#include "engine/vrrp/tracking.h"
#include "engine/vrrp/virtual_router.h"

namespace vipkeeper::router {

// Everything that one virtual router decides: the state machine of RFC 9568 (vrrp::VirtualRouter), and around it what
// its host, its neighbours and its configuration mean for it. See the essay in agent.cpp. A value: events in, actions
// out; no clock, no socket, no log.
class Agent {
 public:
  Agent();

  // Puts a packet aside for PacketsTaken: of what comes between two of these events, what matters of each kind stays.
  void offer(const Packet& packet);
  std::vector<AgentAction> handle(TimePoint now, const AgentEvent& event);

  // When DeadlinePassed is due; nullopt: never, as things stand.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  [[nodiscard]] vrrp::State state() const { return machine_.state(); }
  [[nodiscard]] std::uint8_t effective_priority() const { return machine_.effective_priority(); }
  [[nodiscard]] std::optional<IpAddress> active_router() const { return machine_.active_router(); }
  [[nodiscard]] const config::VrrpInstance& instance() const { return *instance_; }
  [[nodiscard]] std::shared_ptr<const config::VrrpInstance> shared_instance() const { return instance_; }
  [[nodiscard]] const HostView& view() const { return view_; }
  [[nodiscard]] const AgentCounters& counters() const { return counters_; }
  // What stands against it now, a line each: a fault that is no tracker's, strangers with our VRID, a list that the
  // network cannot carry.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  void on(const Configured& event);
  void on(const HostSeen& event);
  void on(const ScriptSpoke& event);
  void on(const PacketsTaken& event);
  void on(const Listened& event);
  void on(const AddressesStand& event);
  void on(const DeadlinePassed& event);
  void on(const ShutDown& event);

  void see(const HostView& view);
  void choose_source();
  void listen();
  void reassess();
  void tell(const vrrp::Event& event, bool from_packet = false);
  void carry_out(const vrrp::Action& action, bool from_packet);
  void announce(bool from_packet);
  void enter(const vrrp::EnterState& state);
  void take(const vrrp::Received& heard);
  void rebuild_envelope();
  void update_parameters();
  [[nodiscard]] bool can_listen() const;
  [[nodiscard]] std::optional<IpAddress> whose_goodbye_counts() const;
  [[nodiscard]] std::string own_fault() const;
  [[nodiscard]] vrrp::Parameters parameters() const;
  [[nodiscard]] std::optional<TimePoint> tries_again_at() const;
  void say(Say::Level level, std::string text, bool bounded = false);

  std::shared_ptr<const config::VrrpInstance> instance_;
  HostView view_;
  vrrp::VirtualRouter machine_;
  vrrp::EffectivePriority tracking_;
  vrrp::Assessment told_;  // what the machine knows of it
  Hearing hearing_;
  std::shared_ptr<const Envelope> envelope_;

  struct Source {
    std::optional<IpAddress> address;  // that is sent from
    std::optional<TimePoint> gone;     // the host has not had it since
    bool given_up = false;             // for longer than an interval
  };
  Source source_;
  struct Socket {
    std::optional<Listen> wanted;  // that was asked for
    std::string error;             // it could not be opened
    std::optional<TimePoint> again;
    unsigned failures = 0;
  };
  Socket socket_;
  // Active without one address, since the kernel refuses them.
  struct GivingWay {
    std::optional<TimePoint> failing_since;
    std::optional<TimePoint> until;  // it gave way
    TimePoint since{};
    std::string because;
    unsigned times = 0;
  };
  GivingWay giving_way_;

  std::optional<TimePoint> second_block_, refresh_;
  std::optional<TimePoint> answered_, announced_to_loser_;  // those that lose against us
  std::deque<TimePoint> transitions_;                       // of the last minute
  std::string list_problem_;                                // the list of addresses does not fit
  bool over_ = false;

  TimePoint now_{};                   // of the event at hand
  std::vector<AgentAction> actions_;  // that it leads to
  AgentCounters counters_;
};

}  // namespace vipkeeper::router
