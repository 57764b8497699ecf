#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/host/network.h"

namespace vipkeeper::net {

// The body of a gratuitous ARP request (RFC 5227 section 1.1; RFC 9568 section 6.4.1): sender and target are `address`,
// the target's hardware address is the broadcast one. `mac` may be of any length the link has.
std::vector<std::byte> build_gratuitous_arp(std::span<const std::byte> mac, std::uint16_t hardware_type,
                                            const IpAddress& address);

// Tells the neighbours on a link that addresses have moved to it. Not thread-safe.
class ArpAnnouncer {
 public:
  // Error permission: CAP_NET_RAW is missing.
  static Result<std::unique_ptr<ArpAnnouncer>> open();

  // One gratuitous ARP request for each IPv4 address, broadcast on `link`, in few system calls. Links without ARP, or
  // without a hardware address, take none; that is no error. Returns how many of the addresses, from the first, are
  // through with it; fewer than all where the link's queue is full (`error` is empty) or the kernel refuses (it is
  // not).
  struct Announced {
    std::size_t count = 0;
    std::string error;
  };
  Announced announce(const host::Link& link, std::span<const IpAddress> addresses);

 private:
  explicit ArpAnnouncer(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace vipkeeper::net
