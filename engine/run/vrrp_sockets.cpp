#include "engine/run/vrrp_sockets.h"

#include "engine/vrrp/advertisement.h"

namespace vipkeeper::run {

Result<std::shared_ptr<SharedVrrpSocket>> VrrpSockets::share(const std::string& interface, int link_index,
                                                             const IpAddress& local) {
  std::erase_if(sockets_, [](const auto& entry) { return entry.second.expired(); });
  auto& slot = sockets_[{link_index, local}];
  if (auto existing = slot.lock()) return existing;
  auto socket = net::VrrpSocket::open(interface, link_index, local);
  if (!socket) return std::unexpected(socket.error());
  const int fd = (*socket)->fd();
  auto shared = std::make_shared<SharedVrrpSocket>(loop_, std::move(*socket));
  const auto watched = loop_.watch(fd, [this, weak = std::weak_ptr(shared)] {
    // Kept alive through the reading: a packet may make its last router let go of it.
    if (const auto alive = weak.lock()) read(*alive);
  });
  if (!watched) return std::unexpected(watched.error());
  slot = shared;
  return shared;
}

void VrrpSockets::read(SharedVrrpSocket& shared) {
  shared.socket_->receive([&](const net::Ipv4Packet& packet) {
    const auto vrid = vrrp::peek_vrid(packet.payload);
    const auto reader = vrid ? shared.readers_.find(*vrid) : shared.readers_.end();
    if (reader == shared.readers_.end()) return on_stranger_();
    const auto keep_alive = reader->second;
    keep_alive(packet);
  });
}

}  // namespace vipkeeper::run
