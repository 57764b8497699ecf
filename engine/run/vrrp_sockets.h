#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/result.h"
#include "engine/net/event_loop.h"
#include "engine/net/vrrp_socket.h"

namespace vipkeeper::run {

// One VRRP socket and the virtual routers that share it. Lives as long as one of them holds it.
class SharedVrrpSocket {
 public:
  using Reader = std::function<void(const net::Ipv4Packet&)>;

  SharedVrrpSocket(net::EventLoop& loop, std::unique_ptr<net::VrrpSocket> socket)
      : loop_(loop), socket_(std::move(socket)) {}
  ~SharedVrrpSocket() { loop_.unwatch(socket_->fd()); }
  SharedVrrpSocket(const SharedVrrpSocket&) = delete;
  SharedVrrpSocket& operator=(const SharedVrrpSocket&) = delete;

  void add_reader(std::uint8_t vrid, Reader reader) { readers_[vrid] = std::move(reader); }
  void remove_reader(std::uint8_t vrid) { readers_.erase(vrid); }
  Result<void> send(const IpAddress& source, const IpAddress& destination, std::span<const std::byte> payload) {
    return socket_->send(source, destination, payload);
  }

 private:
  friend class VrrpSockets;
  net::EventLoop& loop_;
  std::unique_ptr<net::VrrpSocket> socket_;
  std::map<std::uint8_t, Reader> readers_;
};

// The VRRP sockets of the loop: one for each interface and group (or unicast source), however many virtual routers.
class VrrpSockets {
 public:
  // `on_stranger`: a packet came for a VRID that nobody here has (or that is too short to tell).
  VrrpSockets(net::EventLoop& loop, std::function<void()> on_stranger)
      : loop_(loop), on_stranger_(std::move(on_stranger)) {}

  // The socket for this interface and address, opened if nobody has it yet. The caller adds its reader, and removes it
  // before letting go.
  Result<std::shared_ptr<SharedVrrpSocket>> share(const std::string& interface, int link_index, const IpAddress& local);

 private:
  void read(SharedVrrpSocket& shared);

  net::EventLoop& loop_;
  std::function<void()> on_stranger_;
  std::map<std::pair<int, IpAddress>, std::weak_ptr<SharedVrrpSocket>> sockets_;
};

}  // namespace vipkeeper::run
