#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/config/config.h"
#include "engine/router/agent_events.h"
#include "engine/vrrp/advertisement.h"
#include "engine/vrrp/virtual_router.h"

namespace vipkeeper::router {

// The longest Advertisement_Interval that is believed of another router: ten of one's own, or ten seconds, since nodes
// of one group may differ while a change is rolled out, and one packet must not silence a Backup Router for minutes.
Duration longest_believed(Duration own);

// Whom a virtual router listens to, and how much of it: every packet passes here before the state machine hears of it.
//
// What is bounded: of all packets of a turn at most two are handed on (the one that ranks highest, and a priority 0);
// of senders that the configuration does not name, sixteen are remembered. What is dropped is counted by reason, with
// one remark a turn and reason.
//
// Who is heard in unicast: the peers that are configured; a peer that was configured and heard, until it has been
// silent for an Active_Down_Interval (nodes learn of each other's going at different times, and an Active Router that
// is deafened meanwhile makes a second one); and a neighbour of the same subnet, not named, that advertises addresses
// of ours with an unspent hop limit (it knows of us, and we do not know of it yet). A packet from a neighbour's address
// with a hop limit below 255 came through a router, and so not from the neighbour (RFC 5082).
//
// Whose word is no election about ours: an ADVERTISEMENT with our VRID of which no address is ours. It is neither
// followed nor answered, and reported while it goes on.
class Hearing {
 public:
  void configure(TimePoint now, const config::VrrpInstance& instance, std::vector<IpAddress> advertised);
  void see(std::vector<IpPrefix> neighbours) { neighbours_ = std::move(neighbours); }

  // `source`: our own, whose packets are echoes of ours.
  // `goodbye`: of priority 0 only this one's counts; nullopt: anybody's.
  void offer(const Packet& packet, const std::optional<IpAddress>& source, const std::optional<IpAddress>& goodbye,
             AgentCounters& counters);

  struct Taken {
    std::vector<vrrp::Received> heard;  // at most a priority 0 and another
    std::vector<std::string> remarks;
    bool more_destinations = false;  // destinations() changed
  };
  Taken take(TimePoint now);

  // To whom ADVERTISEMENTs go in unicast.
  [[nodiscard]] std::vector<IpAddress> destinations() const;
  // Forgets who has been silent for too long; true: destinations() changed.
  bool expire(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // How long somebody with that interval is waited for, whatever his priority: an Active_Down_Interval at its longest.
  [[nodiscard]] Duration silence_of(Duration interval) const;
  // When an ADVERTISEMENT about our addresses, not of priority 0, was last heard.
  [[nodiscard]] std::optional<TimePoint> last_heard() const { return last_heard_; }
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  struct Stranger {
    TimePoint until;
    std::vector<IpAddress> addresses;
  };
  [[nodiscard]] std::optional<vrrp::DropReason> refuses(const Packet& packet, const vrrp::Advertisement& heard);
  [[nodiscard]] bool is_neighbour(const IpAddress& sender) const;

  vrrp::Expectation expectation_;
  std::string name_, interface_;
  Duration interval_{};
  unsigned down_timer_adverts_ = 3;
  std::vector<IpAddress> peers_;
  std::vector<IpAddress> advertised_;
  std::set<IpAddress> advertised_set_;
  std::vector<IpPrefix> neighbours_;

  // Of this turn.
  std::optional<vrrp::Received> best_;  // of those with a priority
  std::optional<vrrp::Received> zero_;
  std::array<std::optional<IpAddress>, 10> dropped_{};
  std::map<IpAddress, std::vector<IpAddress>> strangers_now_;

  std::map<IpAddress, TimePoint> heard_;     // peers and guests: when
  std::map<IpAddress, TimePoint> former_;    // no peers any more: until when they count
  std::map<IpAddress, TimePoint> guests_;    // never named: until when they count
  std::map<IpAddress, Stranger> strangers_;  // with our VRID and other addresses
  std::vector<IpAddress> last_list_;         // that was found to differ or not
  std::optional<TimePoint> last_heard_;
};

}  // namespace vipkeeper::router
