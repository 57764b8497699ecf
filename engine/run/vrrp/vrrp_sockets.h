#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "engine/base/result.h"
#include "engine/net/event_loop.h"
#include "engine/net/vrrp_socket.h"
#include "engine/router/station.h"

namespace vipkeeper::run {

// The VRRP sockets of the loop: one for each interface and group (or unicast source), however many virtual routers
// share it; it is closed when the last of them lets go.
class VrrpSockets {
 public:
  struct Doors {
    std::function<void(router::RouterNumber, const router::Packet&)> offer;
    std::function<void()> taken;     // no more packets for now
    std::function<void()> stranger;  // a packet for a VRID that nobody here has
  };
  VrrpSockets(net::EventLoop& loop, Doors doors) : loop_(loop), doors_(std::move(doors)) {}
  ~VrrpSockets();
  VrrpSockets(const VrrpSockets&) = delete;
  VrrpSockets& operator=(const VrrpSockets&) = delete;

  // In place of the one that the router had.
  Result<void> open(router::RouterNumber router, std::uint8_t vrid, const router::Listen& at);
  void close(router::RouterNumber router);
  // Error not_found: the router has no socket, or its interface is gone.
  Result<void> send(router::RouterNumber router, const IpAddress& source, const IpAddress& destination,
                    std::span<const std::byte> payload);

 private:
  using Key = std::pair<int, IpAddress>;
  struct Shared {
    std::unique_ptr<net::VrrpSocket> socket;
    std::multimap<std::uint8_t, router::RouterNumber> readers;  // by VRID
  };
  void read(const Key& key);
  void filter(Shared& shared);

  net::EventLoop& loop_;
  Doors doors_;
  std::map<Key, Shared> sockets_;
  std::map<router::RouterNumber, Key> of_router_;
};

}  // namespace vipkeeper::run
