#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/protocol.h"
#include "engine/base/result.h"

// What makes replies of NAT real servers come back through this node: the packet filter's rules as values.
//
// IPVS rewrites the destination of a packet and expects the reply to pass it again. A real server elsewhere answers the
// client directly unless it sees the packet come from this node, so the source of such a connection is rewritten too
// (masqueraded) once its destination is. The rules are the same for all connections and are written once (the
// scaffold); which connections they mean stands in sets beside them: the virtual services, and the networks behind
// which a reply cannot miss this node. One virtual service more is one element, a real server more is nothing at all.
//
// Plain values, so that tables can be compared, planned and made up in tests. Only KernelRules, at the end, is a door.
namespace vipkeeper::return_path {

// What is done to the connections of a virtual service. automatic: masqueraded unless the real server is in a network
// that hangs on this node alone and the client is not.
enum class Masquerade : std::uint8_t { automatic, always };
// "auto", "always"
std::string_view to_string(Masquerade masquerade);

// A virtual service as its packets show it.
struct ServicePort {
  IpAddress address;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;

  // "tcp 192.0.2.10:80", "tcp [2001:db8::1]:80"
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const ServicePort&) const = default;
};

// The sets, chains and rules: not there, there but not as this program makes them, or there exactly so.
enum class Scaffold : std::uint8_t { absent, other, right };

// Everything of one address family.
struct FamilyRules {
  Scaffold scaffold = Scaffold::absent;  // desired: absent or right
  std::map<ServicePort, Masquerade> services;
  std::set<IpPrefix> near;  // networks on this node alone, without host bits, none inside another

  bool operator==(const FamilyRules&) const = default;
};

// One change of one family's rules.
struct MakeScaffold {  // sets (empty), chains and rules anew, whatever was there of them
  bool operator==(const MakeScaffold&) const = default;
};
struct RemoveScaffold {  // with all that is in the sets
  bool operator==(const RemoveScaffold&) const = default;
};
struct AddService {
  ServicePort service;
  Masquerade masquerade = Masquerade::automatic;
  bool operator==(const AddService&) const = default;
};
struct DeleteService {
  ServicePort service;
  Masquerade masquerade = Masquerade::automatic;
  bool operator==(const DeleteService&) const = default;
};
struct AddNear {
  IpPrefix network;
  bool operator==(const AddNear&) const = default;
};
struct DeleteNear {
  IpPrefix network;
  bool operator==(const DeleteNear&) const = default;
};
using Operation = std::variant<MakeScaffold, RemoveScaffold, AddService, DeleteService, AddNear, DeleteNear>;

// "masquerade auto for tcp 192.0.2.10:80", "make the ipv4 masquerading rules"
std::string to_string(Family family, const Operation& operation);

// What turns `actual` into `desired`, to be applied as a whole: deletions before additions, as an element cannot be in
// two sets at a time. A scaffold that is missing or wrong is made anew with everything in it; one that is not desired
// is removed. Laws: plan(x, x) is empty; apply(actual, plan(actual, desired)) == desired.
std::vector<Operation> plan(const FamilyRules& actual, const FamilyRules& desired);
// The same where both scaffolds are right and the services differ in `changed` at most: as much work as these are.
std::vector<Operation> plan(const FamilyRules& actual, const FamilyRules& desired,
                            const std::set<ServicePort>& changed);

// What the kernel holds after the operations.
void apply_to(FamilyRules& rules, std::span<const Operation> operations);
FamilyRules apply(FamilyRules rules, std::span<const Operation> operations);

// The kernel's rules behind a seam: nftables or iptables in engine/net, a value with fault injection in the tests. Only
// what is this program's own is read or changed. Used by one thread.
//
// Errors: unsupported (this kernel, or this image, has not what it takes) and permission name the remedy; anything else
// may pass.
class KernelRules {
 public:
  virtual ~KernelRules() = default;
  // "nftables", "iptables"
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual Result<FamilyRules> read(Family family) = 0;
  // All of them or, with an error, an unknown part: the caller reads again.
  virtual Result<void> apply(Family family, std::span<const Operation> operations) = 0;
  // Whether somebody else may have changed what is ours since it was last read or applied: cheap, true when in doubt.
  virtual bool disturbed() = 0;
  // Becomes readable when disturbed() has something new to say; -1: it has to be asked now and then.
  [[nodiscard]] virtual int events() const = 0;
};

}  // namespace vipkeeper::return_path
