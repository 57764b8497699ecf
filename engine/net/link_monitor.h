#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/net/netlink_socket.h"

namespace vipkeeper::net {

// A network interface as the kernel tells of it.
struct Link {
  int index = 0;
  std::string name;
  bool up = false;        // IFF_UP: an operator wants it up
  bool running = false;   // IFF_RUNNING: it has a carrier
  bool arp = true;        // not IFF_NOARP
  bool multicast = true;  // IFF_MULTICAST
  bool loopback = false;
  unsigned mtu = 0;
  std::uint16_t hardware_type = 1;  // ARPHRD_*, 1 is Ethernet
  std::vector<std::byte> mac;

  // What a virtual router needs of its interface.
  [[nodiscard]] bool usable() const { return up && running; }
  bool operator==(const Link&) const = default;
};

// An address on an interface. `protocol` is IFA_PROTO: who says to have put it there; 0 where nobody says (and on
// kernels before 5.18).
struct InterfaceAddress {
  int index = 0;
  std::string interface;
  IpPrefix prefix;
  std::uint8_t scope = 0;
  bool secondary = false;
  std::uint8_t protocol = 0;
  std::uint64_t order = 0;  // smaller came first

  bool operator==(const InterfaceAddress& other) const {
    return index == other.index && prefix == other.prefix && scope == other.scope && secondary == other.secondary &&
           protocol == other.protocol;
  }
};

// All interfaces and addresses of this network namespace at one moment.
struct NetworkState {
  std::map<int, Link> links;
  std::map<std::pair<int, IpPrefix>, InterfaceAddress> addresses;

  // nullptr: no such interface.
  [[nodiscard]] const Link* find_link(std::string_view name) const;
  [[nodiscard]] bool has_address(int index, const IpPrefix& prefix) const {
    return addresses.contains({index, prefix});
  }
};

struct LinkChange {
  std::optional<Link> before;  // none: it is new
  std::optional<Link> after;   // none: it is gone
};

// What became different, in the order seen. An address that went and came back between two readings is in `removed` and
// in `added`; the state says what holds now.
struct NetworkChanges {
  std::vector<LinkChange> links;
  std::vector<InterfaceAddress> added;
  std::vector<InterfaceAddress> removed;

  [[nodiscard]] bool empty() const { return links.empty() && added.empty() && removed.empty(); }
};

// Follows the kernel's links and addresses (rtnetlink(7)). Needs no rights. Not thread-safe.
class LinkMonitor {
 public:
  // Subscribes, then reads everything once: state() is complete from the start.
  static Result<std::unique_ptr<LinkMonitor>> open();

  // Readable when read_changes() has something to do.
  [[nodiscard]] int fd() const { return socket_.fd(); }
  // Everything the kernel has said since the last call. If it had to drop notifications, everything is read again and
  // compared, so that nothing is missed.
  Result<NetworkChanges> read_changes();
  [[nodiscard]] const NetworkState& state() const { return state_; }

 private:
  explicit LinkMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
  void handle(nlmsghdr& message, NetworkChanges& changes);

  NetlinkSocket socket_;
  NetworkState state_;
  std::uint64_t next_order_ = 0;
};

// Reads all links and addresses once.
Result<NetworkState> read_network();
// The links of this namespace, by index.
Result<std::vector<Link>> read_links();
// IPv4 and IPv6 addresses of all interfaces, in the kernel's order.
Result<std::vector<InterfaceAddress>> read_addresses();

}  // namespace vipkeeper::net
