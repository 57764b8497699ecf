#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "engine/vrrp/virtual_router.h"

// A LAN on virtual time: any number of virtual routers of one VRID, each with its own VirtualRouter, speaking to one
// another in real bytes over a network that loses, delays, reorders, doubles and corrupts them, and that can be cut
// into parts.
//
// Time is a number that jumps from one event to the next: nothing sleeps and nothing reads a clock, so an hour of a
// slow network takes milliseconds. Everything random comes from one generator with the seed of the run, so a failure is
// repeated by its seed alone.
//
// Each node does what the VRRP loop does: of what is due at one moment it takes packets before timers, and it carries
// out actions in their order. A paused node (SIGSTOP, a busy host) takes nothing; its packets wait in the socket. A
// crashed one loses them.
namespace vipkeeper::simulation {

using Node = std::size_t;

// What the network does to each packet on the way to each receiver.
struct Conditions {
  double loss = 0;  // probabilities
  double duplication = 0;
  double corruption = 0;  // one flipped bit
  Duration least_delay{0};
  Duration most_delay{0};  // drawn evenly in between, so packets overtake one another
};

// What was seen since watch(), in the worst part of the network: a part is watched while it has a node that is able to
// be Active (running, not paused, no fault).
struct Sightings {
  Duration longest_overlap{0};  // two or more Active Routers
  Duration longest_gap{0};      // none
};

class Lan {
 public:
  Lan(std::uint64_t seed, TimePoint start) : random_(seed), now_(start) {}

  // A node that is not running yet. Its address is 10.0.0.(number + 1) and parameters.source is set to that.
  Node add(vrrp::Parameters parameters);

  void start(Node node);  // also after stop() and crash()
  void stop(Node node);   // gracefully
  void crash(Node node);  // kill -9
  void pause(Node node);
  void resume(Node node);
  void raise_fault(Node node);
  void clear_fault(Node node);
  void set_priority(Node node, std::uint8_t effective);
  void reload(Node node, const vrrp::Parameters& parameters);

  // `part_of` gives each node the number of its part, from 0; packets pass within a part only.
  void cut(std::vector<int> part_of);
  void join();
  // Packets from one node no longer reach another, whatever the parts.
  void block(Node from, Node to);
  void unblock() { blocked_.clear(); }
  void set_conditions(Conditions conditions) { conditions_ = conditions; }

  void run_for(Duration duration);
  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] std::mt19937_64& random() { return random_; }

  [[nodiscard]] bool able(Node node) const;
  [[nodiscard]] bool active(Node node) const;
  [[nodiscard]] const vrrp::VirtualRouter& router(Node node) const { return nodes_[node].router; }
  // Active nodes that run, of all parts.
  [[nodiscard]] std::vector<Node> actives() const;
  [[nodiscard]] std::map<int, std::vector<Node>> parts() const;

  // Forgets what was seen and watches from now on.
  void watch();
  [[nodiscard]] Sightings sightings() const;

  // What went against a rule that holds at every moment (state and actions agree, addresses are held exactly while
  // Active, no corrupted packet is accepted, no deadline lies in the past, no burst of advertisements). Empty: nothing.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

 private:
  struct Datagram {
    TimePoint arrival;
    std::uint64_t number;  // of equal arrivals the older first
    Node from;
    Node to;
    std::vector<std::byte> payload;
    bool corrupted;
  };
  struct Later {
    bool operator()(const Datagram& a, const Datagram& b) const {
      return std::tie(a.arrival, a.number) > std::tie(b.arrival, b.number);
    }
  };
  struct NodeState {
    vrrp::VirtualRouter router;
    bool running = false;
    bool paused = false;
    bool holding = false;
    std::vector<Datagram> waiting;          // while paused
    std::optional<TimePoint> last_on_time;  // the last advertisement that a timer sent
  };
  struct Seen {
    std::optional<TimePoint> overlap_since, gap_since;
    Sightings worst;
    int actives = 0, able = 0;
  };

  void hand(Node node, const vrrp::Event& event);
  void carry_out(Node node, const std::vector<vrrp::Action>& actions, bool by_timer);
  void send(Node from, std::uint8_t priority);
  void put_on_wire(Node from, Node to, const std::vector<std::byte>& payload);
  void receive(const Datagram& datagram);
  void expire_timer(Node node);
  void look();
  [[nodiscard]] std::optional<TimePoint> next_event() const;
  [[nodiscard]] bool due(Node node) const;
  bool happens(double probability);
  void violation(Node node, const std::string& what);

  std::mt19937_64 random_;
  TimePoint now_;
  Conditions conditions_;
  std::vector<NodeState> nodes_;
  std::vector<int> part_of_;
  std::set<std::pair<Node, Node>> blocked_;
  std::priority_queue<Datagram, std::vector<Datagram>, Later> wire_;
  std::uint64_t sent_ = 0;
  std::uint64_t delivered_ = 0;
  std::vector<Seen> seen_;  // by part
  std::vector<std::string> violations_;
};

}  // namespace vipkeeper::simulation
