#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"

// The links and addresses of a host as values, and what the kernel says of their changes.
namespace vipkeeper::host {

// IFA_PROTO of the addresses this program adds, where the kernel keeps it (5.18 and later): VRRP's IP protocol number.
inline constexpr std::uint8_t address_protocol = 112;

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

// What the kernel tells addresses apart by.
struct AddressKey {
  int index = 0;
  IpPrefix prefix;
  auto operator<=>(const AddressKey&) const = default;
};

// An address on an interface. `protocol` is IFA_PROTO: who says to have put it there; 0 where nobody says (and on
// kernels before 5.18).
struct InterfaceAddress {
  AddressKey key;
  std::uint8_t scope = 0;
  bool secondary = false;
  std::uint8_t protocol = 0;
  std::uint64_t order = 0;  // smaller came first

  bool operator==(const InterfaceAddress& other) const {
    return key == other.key && scope == other.scope && secondary == other.secondary && protocol == other.protocol;
  }
};

// One thing that the kernel said (RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR).
struct LinkGone {
  int index = 0;
};
struct AddressGone {
  AddressKey key;
};
using Notification = std::variant<Link, LinkGone, InterfaceAddress, AddressGone>;

struct LinkChange {
  std::optional<Link> before;  // none: it is new
  std::optional<Link> after;   // none: it is gone
};

// What became different, in the order seen. An address that went and came back between two looks is in `removed` and in
// `added`; the state says what holds now.
struct NetworkChanges {
  std::vector<LinkChange> links;
  std::vector<InterfaceAddress> added;
  std::vector<InterfaceAddress> removed;

  [[nodiscard]] bool empty() const { return links.empty() && added.empty() && removed.empty(); }
};

// All interfaces and addresses of one network namespace at one moment.
class NetworkState {
 public:
  // nullptr: no such interface, no such address.
  [[nodiscard]] const Link* find_link(std::string_view name) const;
  [[nodiscard]] const Link* find_link(int index) const;
  [[nodiscard]] const InterfaceAddress* find_address(const AddressKey& key) const;
  [[nodiscard]] const std::map<int, Link>& links() const { return links_; }
  [[nodiscard]] const std::map<AddressKey, InterfaceAddress>& addresses() const { return addresses_; }
  // Those of one interface, in the order of their prefixes.
  [[nodiscard]] std::vector<const InterfaceAddress*> addresses_of(int index) const;

  // Works in what the kernel said; what became different is appended to `changes`. A link that goes takes its addresses
  // with it, whether or not the kernel says so of each.
  void apply(const Notification& notification, NetworkChanges& changes);

 private:
  void set(const Link& link, NetworkChanges& changes);
  void erase_link(int index, NetworkChanges& changes);
  void set(const InterfaceAddress& address, NetworkChanges& changes);
  void erase_address(const AddressKey& key, NetworkChanges& changes);

  std::map<int, Link> links_;
  std::map<std::string, int, std::less<>> by_name_;
  std::map<AddressKey, InterfaceAddress> addresses_;
  std::uint64_t next_order_ = 0;
};

// The state that the kernel's answers to a full reading make.
NetworkState make_state(std::span<const Notification> read);
// What lies between two states.
NetworkChanges difference(const NetworkState& before, const NetworkState& after);

}  // namespace vipkeeper::host
