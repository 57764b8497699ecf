#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/host/network.h"

namespace vipkeeper::host {

// An address that a virtual router puts on an interface.
struct HostAddress {
  std::string interface;
  IpPrefix prefix;
  std::uint8_t scope = 0;  // RT_SCOPE_*
  std::string label;       // IPv4 only; empty: none
  std::optional<IpAddress> broadcast;

  auto operator<=>(const HostAddress&) const = default;
};

// What is recorded of an address that this program put on an interface, in this run or an earlier one.
struct OwnedAddress {
  IpPrefix prefix;
  std::string interface;
  auto operator<=>(const OwnedAddress&) const = default;
};

// What may be done to the host's network. Routes, rules, links and switches will be alternatives beside these.
struct AddAddress {
  int link_index = 0;
  HostAddress address;
  bool operator==(const AddAddress&) const = default;
};
struct RemoveAddress {
  int link_index = 0;
  HostAddress address;
  bool operator==(const RemoveAddress&) const = default;
};
using Operation = std::variant<AddAddress, RemoveAddress>;

// What became of an operation.
enum class Outcome : std::uint8_t {
  done,
  needless,  // it was so already: the address was there, or was gone, also with its interface
  refused,   // the kernel said no to this one
  unknown,   // no answer: it may have been done
};
struct Answer {
  Outcome outcome = Outcome::done;
  std::string message;  // of `refused` and `unknown`: names address, interface and cause
};

// The seam between what decides on the host's network and the kernel. changes() belongs to one thread, read() and
// apply() to one, perhaps another.
class HostTable {
 public:
  virtual ~HostTable() = default;

  // Everything, anew. Takes the kernel's lock over all interfaces, which others may hold for seconds.
  virtual Result<NetworkState> read() = 0;
  // Does all operations in order, whatever becomes of single ones; one answer for each. Takes the same lock.
  virtual std::vector<Answer> apply(std::span<const Operation> operations) = 0;
  // What the kernel has said since the last call; takes no lock. Error unavailable: some of it was lost (or could not
  // be read), and what was still queued behind it is dropped: a reading is due.
  virtual Result<std::vector<Notification>> changes() = 0;
};

}  // namespace vipkeeper::host
