#include "engine/run/vrrp/vrrp_sockets.h"

#include <set>

#include "engine/vrrp/advertisement.h"

namespace vipkeeper::run {

VrrpSockets::~VrrpSockets() {
  for (const auto& [key, shared] : sockets_) loop_.unwatch(shared.socket->fd());
}

Result<void> VrrpSockets::open(router::RouterNumber router, std::uint8_t vrid, const router::Listen& at) {
  const Key key{at.link_index, at.local};
  close(router);
  auto place = sockets_.find(key);
  if (place == sockets_.end()) {
    auto socket = net::VrrpSocket::open(at.interface, at.link_index, at.local);
    if (!socket) return std::unexpected(socket.error());
    if (auto watched = loop_.watch((*socket)->fd(), [this, key] { read(key); }); !watched) return watched;
    place = sockets_.emplace(key, Shared{std::move(*socket), {}}).first;
  }
  place->second.readers.emplace(vrid, router);
  of_router_[router] = key;
  filter(place->second);
  return {};
}

void VrrpSockets::close(router::RouterNumber router) {
  const auto known = of_router_.find(router);
  if (known == of_router_.end()) return;
  const auto place = sockets_.find(known->second);
  of_router_.erase(known);
  std::erase_if(place->second.readers, [&](const auto& reader) { return reader.second == router; });
  if (!place->second.readers.empty()) return filter(place->second);
  loop_.unwatch(place->second.socket->fd());
  sockets_.erase(place);
}

void VrrpSockets::filter(Shared& shared) {
  std::set<std::uint8_t> vrids;
  for (const auto& [vrid, router] : shared.readers) vrids.insert(vrid);
  shared.socket->accept_only(vrids);
}

Result<void> VrrpSockets::send(router::RouterNumber router, const IpAddress& source, const IpAddress& destination,
                               std::span<const std::byte> payload) {
  const auto known = of_router_.find(router);
  if (known == of_router_.end()) return failure(ErrorCode::not_found, "no socket");
  return sockets_.at(known->second).socket->send(source, destination, payload);
}

void VrrpSockets::read(const Key& key) {
  const auto place = sockets_.find(key);
  if (place == sockets_.end()) return;
  place->second.socket->receive([&](const net::Ipv4Packet& packet) {
    const auto vrid = vrrp::peek_vrid(packet.payload);
    const auto [from, to] = place->second.readers.equal_range(vrid.value_or(0));
    if (!vrid || from == to) return doors_.stranger();
    for (auto reader = from; reader != to; ++reader) {
      doors_.offer(reader->second, {packet.source, packet.destination, packet.ttl, packet.payload});
    }
  });
  doors_.taken();
}

}  // namespace vipkeeper::run
