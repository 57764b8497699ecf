#include "engine/net/arp_announcer.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "engine/base/bytes.h"
#include "engine/net/permission.h"

namespace vipkeeper::net {
namespace {

constexpr std::size_t frames_a_call = 64;

}  // namespace

std::vector<std::byte> build_gratuitous_arp(std::span<const std::byte> mac, std::uint16_t hardware_type,
                                            const IpAddress& address) {
  const std::vector<std::byte> everyone(mac.size(), std::byte{0xff});
  ByteWriter writer;
  writer.u16(hardware_type);
  writer.u16(ETH_P_IP);
  writer.u8(static_cast<std::uint8_t>(mac.size()));
  writer.u8(4);
  writer.u16(1);  // request
  writer.bytes(mac);
  writer.bytes(address.bytes());
  writer.bytes(everyone);
  writer.bytes(address.bytes());
  return writer.take();
}

Result<std::unique_ptr<ArpAnnouncer>> ArpAnnouncer::open() {
  // SOCK_DGRAM: the kernel writes the link's own header (Ethernet, VLAN, bond). Protocol 0: nothing is received.
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    if (errno == EPERM || errno == EACCES) return std::unexpected(missing_right("send gratuitous ARP", "NET_RAW"));
    return failure(ErrorCode::io, std::string("cannot open a packet socket: ") + std::strerror(errno));
  }
  return std::unique_ptr<ArpAnnouncer>(new ArpAnnouncer(std::move(fd)));
}

ArpAnnouncer::Announced ArpAnnouncer::announce(const host::Link& link, std::span<const IpAddress> addresses) {
  sockaddr_ll target{};
  if (!link.arp || link.mac.empty() || link.mac.size() > sizeof target.sll_addr) return {addresses.size(), {}};
  target.sll_family = AF_PACKET;
  target.sll_protocol = htons(ETH_P_ARP);
  target.sll_ifindex = link.index;
  target.sll_halen = static_cast<unsigned char>(link.mac.size());
  std::fill_n(std::begin(target.sll_addr), link.mac.size(), static_cast<unsigned char>(0xff));

  std::size_t done = 0;
  while (done < addresses.size()) {
    const auto batch = addresses.subspan(done, std::min(frames_a_call, addresses.size() - done));
    std::array<std::vector<std::byte>, frames_a_call> frames;
    std::array<iovec, frames_a_call> vectors;
    std::array<mmsghdr, frames_a_call> messages;
    std::array<std::size_t, frames_a_call> places;  // in the batch
    unsigned count = 0;
    for (std::size_t place = 0; place < batch.size(); ++place) {
      if (!batch[place].is_v4()) continue;
      places[count] = place;
      frames[count] = build_gratuitous_arp(link.mac, link.hardware_type, batch[place]);
      vectors[count] = {frames[count].data(), frames[count].size()};
      messages[count] = {};
      messages[count].msg_hdr.msg_name = &target;
      messages[count].msg_hdr.msg_namelen = sizeof target;
      messages[count].msg_hdr.msg_iov = &vectors[count];
      messages[count].msg_hdr.msg_iovlen = 1;
      ++count;
    }
    unsigned sent = 0;
    while (sent < count) {
      const int now_sent = ::sendmmsg(fd_.get(), &messages[sent], count - sent, MSG_DONTWAIT);
      if (now_sent > 0) {
        sent += static_cast<unsigned>(now_sent);
      } else if (errno != EINTR) {
        const int number = errno;
        const bool full = number == EAGAIN || number == EWOULDBLOCK || number == ENOBUFS || number == ENOMEM;
        return {done + places[sent],
                full ? std::string() : "gratuitous ARP on " + link.name + ": " + std::strerror(number)};
      }
    }
    done += batch.size();
  }
  return {addresses.size(), {}};
}

}  // namespace vipkeeper::net
