#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/config/config.h"
#include "engine/host/address_plan.h"
#include "engine/router/observation.h"
#include "engine/vrrp/advertisement.h"
#include "engine/vrrp/tracking.h"
#include "engine/vrrp/virtual_router.h"

// What goes into an Agent and what comes out of it.
namespace vipkeeper::router {

// Events.

// The configuration is now this one; the first starts the agent.
struct Configured {
  std::shared_ptr<const config::VrrpInstance> instance;
  HostView view;
  bool shown_only = false;  // a dry run: it stays in Initialize
};
struct HostSeen {
  HostView view;
};
struct ScriptSpoke {
  std::string script;
  vrrp::Health health = vrrp::Health::unknown;
};
// The packets that were offered since the last time are all there are for now.
struct PacketsTaken {};
// What became of the Listen that was asked for; empty: it listens.
struct Listened {
  std::string error;
};
// How the addresses stand, while the kernel refuses some.
struct AddressesStand {
  host::AddressSummary summary;
};
// next_deadline() has passed, or not: what is not due is passed over.
struct DeadlinePassed {};
struct ShutDown {};
using AgentEvent =
    std::variant<Configured, HostSeen, ScriptSpoke, PacketsTaken, Listened, AddressesStand, DeadlinePassed, ShutDown>;

// Actions, to be done in order.

// What is the same in every ADVERTISEMENT until something is configured or seen anew.
struct Envelope {
  IpAddress source;
  std::vector<IpAddress> destinations;  // the group, or the peers
  vrrp::Advertisement advertisement;    // but for the priority
  bool checksum_without_pseudo_header = false;
};
struct Transmit {
  std::shared_ptr<const Envelope> envelope;
  std::uint8_t priority = 0;
};
// The packets for this router are those that come in on the interface to that address; in place of what was listened
// to before. To be answered by Listened.
struct Listen {
  std::string interface;
  int link_index = 0;
  IpAddress local;
  bool operator==(const Listen&) const = default;
};
struct StopListening {};
struct HoldAddresses {
  bool holds = false;
  unsigned repeat = 1;
};
struct AnnounceAddresses {
  unsigned repeat = 1;
};
// Neighbours may have forgotten how to reach the address that we send from.
struct AnnounceSource {
  int link_index = 0;
  IpAddress source;
};
struct Transition {
  vrrp::State from = vrrp::State::initialize;
  vrrp::State to = vrrp::State::initialize;
  std::string reason;
  std::uint8_t priority = 0;
};
// A line for the operator. `bounded`: somebody else can cause it without end.
struct Say {
  enum class Level : std::uint8_t { detail, info, warning, error };
  Level level = Level::info;
  bool bounded = false;
  std::string text;
};
using AgentAction =
    std::variant<Transmit, Listen, StopListening, HoldAddresses, AnnounceAddresses, AnnounceSource, Transition, Say>;

// A packet as the socket hands it up.
struct Packet {
  IpAddress source;
  IpAddress destination;
  std::uint8_t hop_limit = 0;
  std::span<const std::byte> payload;
};

struct AgentCounters {
  std::uint64_t adverts_received = 0, adverts_sent = 0, became_master = 0, released_master = 0;
  std::uint64_t priority_zero_received = 0, priority_zero_sent = 0;
  std::array<std::uint64_t, 10> discarded{};  // by vrrp::DropReason
};

}  // namespace vipkeeper::router
