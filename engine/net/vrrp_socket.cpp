#include "engine/net/vrrp_socket.h"

#include <linux/filter.h>
#include <linux/pkt_sched.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/net/permission.h"

namespace vipkeeper::net {
namespace {

constexpr int vrrp_protocol = 112;
constexpr std::size_t packets_a_call = 8;
constexpr int calls_a_turn = 64;
// 255 IPv4 addresses and the longest headers fit.
constexpr std::size_t packet_size = 1600;

sockaddr_in to_sockaddr(const IpAddress& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(address.v4_host_order());
  return result;
}

template <class T>
const sockaddr* as_sockaddr(const T& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

Error socket_error(const std::string& what, int number) {
  if (number == EPERM || number == EACCES) return missing_right(what, "NET_RAW");
  return {number == ENODEV || number == ENXIO ? ErrorCode::not_found : ErrorCode::io,
          "cannot " + what + ": " + std::strerror(number)};
}

template <class T>
bool set_option(int fd, int level, int option, const T& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace

Result<void> VrrpSocket::check_permission() {
  const UniqueFd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, vrrp_protocol));
  if (!fd) return std::unexpected(socket_error("open a raw VRRP socket", errno));
  return {};
}

Result<std::unique_ptr<VrrpSocket>> VrrpSocket::open(const std::string& interface, int link_index,
                                                     const IpAddress& local) {
  const auto failed = [&](const char* step) {
    return std::unexpected(
        socket_error("receive VRRP on " + interface + " for " + local.to_string() + " (" + step + ")", errno));
  };
  UniqueFd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, vrrp_protocol));
  if (!fd) return std::unexpected(socket_error("open a raw VRRP socket", errno));
  const int on = 1;
  const int off = 0;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                   static_cast<socklen_t>(interface.size() + 1)) != 0) {
    return failed("bind to the interface");
  }
  if (!set_option(fd.get(), IPPROTO_IP, IP_HDRINCL, on)) return failed("IP_HDRINCL");
  // A queue of its own on a busy interface: what the network's control traffic gets.
  if (!set_option(fd.get(), SOL_SOCKET, SO_PRIORITY, static_cast<int>(TC_PRIO_CONTROL))) return failed("SO_PRIORITY");
  if (local.is_multicast()) {
    ip_mreqn membership{};
    membership.imr_multiaddr.s_addr = htonl(local.v4_host_order());
    membership.imr_ifindex = link_index;
    if (!set_option(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, membership)) return failed("join the group");
    ip_mreqn outgoing{};
    outgoing.imr_ifindex = link_index;
    if (!set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, outgoing)) return failed("IP_MULTICAST_IF");
    if (!set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_LOOP, off)) return failed("IP_MULTICAST_LOOP");
    if (!set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, off)) return failed("IP_MULTICAST_ALL");
  } else if (!set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, on)) {
    return failed("IP_FREEBIND");
  }
  // A bound raw socket gets only what is sent to that address: unicast and multicast routers on one interface do not
  // see each other's packets.
  const sockaddr_in address = to_sockaddr(local);
  if (::bind(fd.get(), as_sockaddr(address), sizeof address) != 0) return failed("bind");
  return std::unique_ptr<VrrpSocket>(new VrrpSocket(std::move(fd)));
}

// On a raw socket the program sees the IP header first. Its jumps are a byte, so the VRIDs are asked one by one, each
// with an answer of its own.
void VrrpSocket::accept_only(const std::set<std::uint8_t>& vrids) {
  constexpr std::uint32_t all = 0xffffffff;
  std::vector<sock_filter> program{
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),           // X: length of the IP header
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),            // version and type
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x31, 2, 0),  // version 3, ADVERTISEMENT
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x21, 1, 0),  // version 2
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 1),  // VRID
  };
  for (const std::uint8_t vrid : vrids) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, vrid, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, all));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  (void)set_option(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, filter);
}

void VrrpSocket::receive(const std::function<void(const Ipv4Packet&)>& handler) {
  // Shared by all sockets of a thread: nothing in it outlives the handler's call.
  thread_local std::vector<std::array<std::byte, packet_size>> buffers(packets_a_call);
  std::array<iovec, packets_a_call> vectors;
  std::array<mmsghdr, packets_a_call> messages;
  for (int call = 0; call < calls_a_turn; ++call) {
    for (std::size_t i = 0; i < packets_a_call; ++i) {
      vectors[i] = {buffers[i].data(), packet_size};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = ::recvmmsg(fd_.get(), messages.data(), packets_a_call, MSG_DONTWAIT, nullptr);
    // An error is that of an earlier send or of an interface that went down; reading has fetched it.
    if (count <= 0) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (const auto packet =
              parse_ipv4(std::span(buffers[i]).first(std::min<std::size_t>(messages[i].msg_len, packet_size)))) {
        handler(*packet);
      }
    }
    if (static_cast<std::size_t>(count) < packets_a_call) return;
  }
}

Result<void> VrrpSocket::send(const IpAddress& source, const IpAddress& destination,
                              std::span<const std::byte> payload) {
  if (++identification_ == 0) identification_ = 1;  // the kernel would choose one
  const auto packet = build_vrrp_packet(source, destination, identification_, payload);
  const sockaddr_in address = to_sockaddr(destination);
  const int flags = destination.is_multicast() ? MSG_DONTROUTE : 0;
  // A multicast packet needs no route: the interface is given. Only one retry, for an error left from an earlier
  // packet.
  for (int attempt = 0;; ++attempt) {
    if (::sendto(fd_.get(), packet.data(), packet.size(), flags | MSG_DONTWAIT, as_sockaddr(address), sizeof address) >=
        0) {
      return {};
    }
    if (attempt > 0 || (errno != EINTR && errno != ENETDOWN)) break;
  }
  const int number = errno;
  return failure(number == ENODEV || number == ENXIO ? ErrorCode::not_found : ErrorCode::io,
                 "cannot send an ADVERTISEMENT to " + destination.to_string() + ": " + std::strerror(number));
}

}  // namespace vipkeeper::net
