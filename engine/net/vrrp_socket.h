#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/net/ipv4_header.h"

namespace vipkeeper::net {

// A raw IPv4 socket for VRRP (protocol 112) on one interface, for one multicast group or one unicast source address.
// All virtual routers of that interface and group (or source) share it; the reader tells them apart by VRID.
class VrrpSocket {
 public:
  // `local`: a multicast group, which is joined on the interface, or our own address, to which unicast packets come (it
  // need not exist yet). Error permission: CAP_NET_RAW is missing. Error not_found: no interface of that index.
  static Result<std::unique_ptr<VrrpSocket>> open(const std::string& interface, int link_index, const IpAddress& local);

  // Error permission if this process may not open such sockets at all; asked once, at start, before anything is done.
  static Result<void> check_permission();

  [[nodiscard]] int fd() const { return fd_.get(); }

  // Hands over the packets that wait (bounded, so that a flood cannot hold the loop). What is no IPv4 packet is
  // dropped.
  void receive(const std::function<void(const Ipv4Packet&)>& handler);

  // The kernel drops what is for no VRID of these, or is no ADVERTISEMENT of version 2 or 3, before it costs this
  // process anything. Where it takes no filter, everything comes through.
  void accept_only(const std::set<std::uint8_t>& vrids);

  // TTL 255 and precedence internetwork control; not looped back to this host when multicast.
  Result<void> send(const IpAddress& source, const IpAddress& destination, std::span<const std::byte> payload);

 private:
  explicit VrrpSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::uint16_t identification_ = 0;
};

}  // namespace vipkeeper::net
