#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/net/netlink_socket.h"

namespace vipkeeper::net {

// IFA_PROTO of the addresses this program adds, where the kernel keeps it (5.18 and later): VRRP's IP protocol number.
inline constexpr std::uint8_t address_protocol = 112;

// An address to be put on, or taken off, an interface. `link_index`, `interface` (for messages only).
struct AddressOperation {
  enum class Kind : std::uint8_t { add, remove };
  Kind kind = Kind::add;
  int link_index = 0;
  std::string interface;
  IpPrefix prefix;
  std::uint8_t scope = 0;  // RT_SCOPE_*
  std::string label;       // IPv4 only; empty: none
  std::optional<IpAddress> broadcast;

  bool operator==(const AddressOperation&) const = default;
};

// One operation that the kernel refused: its place in what was applied, and a text that names address, interface,
// cause.
struct AddressFailure {
  std::size_t operation = 0;
  std::string message;
};

// Changes the addresses of interfaces over rtnetlink, many in one system call. Not thread-safe.
class AddressTable {
 public:
  // Error permission: CAP_NET_ADMIN is missing (it is tried, with a change that changes nothing).
  static Result<std::unique_ptr<AddressTable>> open();

  // Does all operations in order, whatever becomes of single ones, and returns those that failed. An address that is
  // already there, or already gone (also because its interface is), counts as done.
  std::vector<AddressFailure> apply(std::span<const AddressOperation> operations);

 private:
  explicit AddressTable(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace vipkeeper::net
