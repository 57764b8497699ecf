#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/net/netlink/netlink_socket.h"
#include "engine/return_path/rules.h"

namespace vipkeeper::net {

// Makes the kernel's connection tracking forget the UDP flows to `services` (others than UDP are left out) that go on
// without masquerading, and returns how many those were. Of the kernel one dump of its whole table, however many
// services. Error unsupported: there is no ctnetlink; the message says which module to load.
//
// A flow's fate is decided with its first packet. A client that goes on sending to a UDP port of a VIP while nothing is
// there to balance or to masquerade it leaves an entry that says so, renews it with each datagram, and would get no
// answer for as long as it sends, whatever comes up meanwhile. Without the entry its next datagram is a first one.
Result<std::size_t> forget_udp_flows(std::span<const return_path::ServicePort> services);

// One direction's end of a tracked flow.
struct FlowEnd {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const FlowEnd&) const = default;
};

// What is looked at of an entry of the kernel's table (linux/netfilter/nfnetlink_conntrack.h).
struct TrackedFlow {
  std::uint8_t protocol = 0;
  FlowEnd source, destination;  // as the first packet had them
  FlowEnd reply_destination;    // where answers go: the source, unless that is rewritten

  [[nodiscard]] bool is_masqueraded() const { return reply_destination != source; }
};

// The codec, apart from the socket so that tests can hold it to bytes. nullopt: an entry without ports (ICMP, GRE), or
// one that is not understood.
std::optional<TrackedFlow> parse_tracked_flow(nlmsghdr& message);
MessagePtr new_conntrack_dump();
// Deletes the very entry that `entry`, an answer to the dump, told of: another flow that has its tuple by now stays,
// as its id differs.
MessagePtr new_conntrack_delete(nlmsghdr& entry);

}  // namespace vipkeeper::net
