#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "engine/config/router_id.h"
#include "engine/host/address_plan.h"
#include "engine/host/mirror.h"
#include "engine/router/agent.h"
#include "engine/router/line_budget.h"
#include "engine/router/vrrp_side.h"
#include "engine/vrrp/tracking.h"

namespace vipkeeper::router {

// A router of this host, as long as it has one; never used again.
using RouterNumber = std::uint32_t;

// What a Station wants done, in order.
struct Send {
  RouterNumber router = 0;
  std::shared_ptr<const Envelope> envelope;
  std::uint8_t priority = 0;
};
// In place of the socket the router had. To be answered by listened().
struct OpenSocket {
  RouterNumber router = 0;
  Listen at;
};
struct CloseSocket {
  RouterNumber router = 0;
};
// Gratuitous ARP. What the link does not take is handed to not_announced().
struct AnnounceOn {
  host::Link link;
  std::vector<IpAddress> addresses;
};
// To be answered by applied(), once.
struct ApplyPiece {
  host::AddressPiece piece;
};
// To be answered by host_read().
struct ReadHost {
  std::uint64_t number = 0;
};
struct Changed {
  RouterNumber router = 0;
  Transition transition;
  std::shared_ptr<const config::VrrpInstance> instance;
};
struct Line {
  Say::Level level = Say::Level::info;
  std::string text;
};
using Output = std::variant<Send, OpenSocket, CloseSocket, AnnounceOn, ApplyPiece, ReadHost, Changed, Line>;

struct StationOptions {
  bool dry_run = false;                        // routers stay in INIT, nothing is asked for
  std::set<host::OwnedAddress> recorded = {};  // addresses that an earlier run left
};

struct StationCounters {
  std::uint64_t addresses_added = 0, addresses_removed = 0, addresses_restored = 0, address_errors = 0,
                announcements = 0, host_readings = 0;
};

// All virtual routers of one host, its addresses and its scripts' verdicts, as one value: what happens goes in, what is
// to be done comes out of take_outputs(), and nothing is done in between. Whoever runs it carries the outputs out in
// order, calls work() until it has nothing, and timer() when next_deadline() has come. See the essay in station.cpp.
class Station {
 public:
  Station(StationOptions options, host::NetworkState first);

  void configure(TimePoint now, const VrrpConfig& config);
  void script_result(TimePoint now, const ScriptResult& result);
  // What the kernel said; an error is HostTable::changes()'.
  void host_said(TimePoint now, const Result<std::vector<host::Notification>>& said);
  void host_read(TimePoint now, std::uint64_t number, Result<host::NetworkState> read);
  // A packet for that router; packets_taken() when there are no more for now.
  void offer(RouterNumber router, const Packet& packet);
  void packets_taken(TimePoint now);
  void listened(TimePoint now, RouterNumber router, const Result<void>& result);
  void applied(TimePoint now, std::span<const host::Answer> answers);
  void not_announced(TimePoint now, int link_index, const std::vector<IpAddress>& addresses);
  void timer(TimePoint now);
  // Priority 0 of all that are Active; then the addresses go, and when drained() nothing is left to be done.
  void shut_down(TimePoint now);

  // A piece of what is outstanding. False: nothing more can be done now.
  bool work(TimePoint now);
  std::vector<Output> take_outputs() { return std::exchange(outputs_, {}); }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  [[nodiscard]] bool drained() const { return stopping_ && plan_.settled(); }

  // The routers, in the order of the configuration.
  [[nodiscard]] const std::vector<RouterNumber>& routers() const { return in_order_; }
  [[nodiscard]] bool has(RouterNumber router) const { return routers_.contains(router); }
  [[nodiscard]] const Agent& agent(RouterNumber router) const { return routers_.at(router).agent; }
  // Whether each address of host_addresses() is there.
  [[nodiscard]] std::vector<bool> present(RouterNumber router) const;
  // Routers whose state or addresses changed since the last call; and those that anything happened to, which their
  // counters may tell.
  std::set<RouterNumber> take_changed();
  std::set<RouterNumber> take_told() { return std::exchange(told_, {}); }
  // What stands against the VRRP side now: the object and what is the matter with it.
  struct Problem {
    bool error = true;
    std::string object;
    std::string message;
    auto operator<=>(const Problem&) const = default;
  };
  [[nodiscard]] std::vector<Problem> problems() const;
  [[nodiscard]] const StationCounters& counters() const { return counters_; }
  [[nodiscard]] const host::NetworkState& network() const { return mirror_.state(); }

 private:
  struct Router {
    config::RouterId id;
    Agent agent;
    std::set<std::string> interfaces;
  };
  struct Script {
    std::shared_ptr<const config::VrrpScript> config;
    vrrp::ScriptVerdict verdict;
    std::set<RouterNumber> routers;
  };

  void tell(TimePoint now, RouterNumber number, const AgentEvent& event);
  void queue(TimePoint now, RouterNumber number, std::vector<AgentAction> actions);
  void leave(TimePoint now, RouterNumber number);
  void configure_scripts(const VrrpConfig& config);
  void index_scripts();
  void look_at_sources(TimePoint now);
  // Whom the configuration wants, in its order, told apart; what cannot run beside the others is said and left out.
  using Wanted = std::vector<std::pair<config::RouterId, std::shared_ptr<const config::VrrpInstance>>>;
  Wanted tell_apart(TimePoint now, const VrrpConfig& config);
  void network_changed(TimePoint now, const host::NetworkChanges& changes);
  void begin_reading(TimePoint now);
  void assess_addresses(TimePoint now);
  void announce(TimePoint now);
  void line(TimePoint now, Say::Level level, std::string text, bool bounded);
  void line(TimePoint now, Say::Level level, std::string text, bool bounded, LineBudget& budget);
  void host_line(TimePoint now, Say::Level level, std::string text);
  [[nodiscard]] HostView view_of(const config::VrrpInstance& instance) const;

  StationOptions options_;
  host::Mirror mirror_;
  host::AddressPlan plan_;
  std::map<RouterNumber, Router> routers_;
  std::map<config::RouterId, RouterNumber> by_id_;
  std::map<std::string, std::set<RouterNumber>, std::less<>> by_interface_;
  std::map<std::string, Script, std::less<>> scripts_;
  std::vector<RouterNumber> in_order_;
  std::set<IpAddress> sources_;       // that are configured
  std::vector<std::string> ignored_;  // instances that cannot run beside the others
  std::set<RouterNumber> offered_, changed_, told_;
  std::set<RouterNumber> failing_;  // to which the kernel refuses addresses
  RouterNumber next_number_ = 1;
  std::multimap<TimePoint, RouterNumber> deadlines_;
  std::map<RouterNumber, TimePoint> deadline_of_;
  std::optional<TimePoint> read_at_;  // the next slow look, or another try
  std::string read_error_;
  unsigned read_failures_ = 0;
  bool stopping_ = false;
  LineBudget budget_, host_budget_;  // of what neighbours cause, and the host
  std::vector<Output> outputs_;
  StationCounters counters_;
};

}  // namespace vipkeeper::router
