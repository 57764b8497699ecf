// rtnetlink as a HostTable. Messages become values here, and values messages; what they mean is decided in engine/host.
//
// Two sockets: one that is subscribed and only listens, so that following the host takes no lock of the kernel's; one
// for changes, and a fresh one for each reading, which do take it.

#include "engine/net/netlink/kernel_host.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "engine/net/permission.h"

namespace vipkeeper::net {
namespace {

std::vector<std::byte> bytes_of(nlattr* attribute) {
  const auto* begin = static_cast<const std::byte*>(nla_data(attribute));
  return {begin, begin + nla_len(attribute)};
}

// nullopt for what is no link (a bridge tells of its ports in RTM_*LINK messages of family AF_BRIDGE, and "deleted"
// there means "no longer a port") and for what does not say its name: a link without one would be believed to be gone.
std::optional<host::Notification> parse_link(nlmsghdr& message) {
  if (!nlmsg_valid_hdr(&message, sizeof(ifinfomsg))) return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(&message));
  if (info->ifi_family != AF_UNSPEC) return std::nullopt;
  if (message.nlmsg_type == RTM_DELLINK) return host::LinkGone{info->ifi_index};
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (nlmsg_parse(&message, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) return std::nullopt;
  if (attributes[IFLA_IFNAME] == nullptr) return std::nullopt;
  host::Link link;
  link.index = info->ifi_index;
  link.name = nla_get_string(attributes[IFLA_IFNAME]);
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.running = (info->ifi_flags & IFF_RUNNING) != 0;
  link.arp = (info->ifi_flags & IFF_NOARP) == 0;
  link.multicast = (info->ifi_flags & IFF_MULTICAST) != 0;
  link.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
  link.hardware_type = info->ifi_type;
  if (attributes[IFLA_MTU] != nullptr) link.mtu = nla_get_u32(attributes[IFLA_MTU]);
  if (attributes[IFLA_ADDRESS] != nullptr) link.mac = bytes_of(attributes[IFLA_ADDRESS]);
  return link;
}

std::optional<host::Notification> parse_address(nlmsghdr& message) {
  if (!nlmsg_valid_hdr(&message, sizeof(ifaddrmsg))) return std::nullopt;
  const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(&message));
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  if (nlmsg_parse(&message, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) < 0) return std::nullopt;
  // IFA_ADDRESS is the other end of a point-to-point link; without IFA_LOCAL it is our own.
  nlattr* local = attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  if (local == nullptr) return std::nullopt;
  const auto address = IpAddress::from_bytes(bytes_of(local));
  if (!address) return std::nullopt;
  const host::AddressKey key{static_cast<int>(info->ifa_index), {*address, info->ifa_prefixlen}};
  if (message.nlmsg_type == RTM_DELADDR) return host::AddressGone{key};
  host::InterfaceAddress result;
  result.key = key;
  result.scope = info->ifa_scope;
  result.secondary = (info->ifa_flags & IFA_F_SECONDARY) != 0;
  if (attributes[IFA_PROTO] != nullptr) result.protocol = nla_get_u8(attributes[IFA_PROTO]);
  return result;
}

std::optional<host::Notification> parse(nlmsghdr& message) {
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return parse_link(message);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return parse_address(message);
    default:
      return std::nullopt;
  }
}

void put_address(nl_msg& message, int attribute, const IpAddress& address) {
  const auto bytes = address.bytes();
  nla_put(&message, attribute, static_cast<int>(bytes.size()), bytes.data());
}

MessagePtr build_message(bool add, int link_index, const host::HostAddress& address) {
  const bool v4 = address.prefix.address.is_v4();
  ifaddrmsg header{};
  header.ifa_family = v4 ? AF_INET : AF_INET6;
  header.ifa_prefixlen = address.prefix.length;
  header.ifa_scope = address.scope;
  header.ifa_index = static_cast<unsigned>(link_index);
  // Duplicate address detection would keep an IPv6 address from use for a second; VRRP has decided already who has it.
  if (!v4) header.ifa_flags = IFA_F_NODAD;
  auto message = new_message(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0, header);
  put_address(*message, IFA_LOCAL, address.prefix.address);
  if (v4 || !add) put_address(*message, IFA_ADDRESS, address.prefix.address);
  if (!add) return message;
  if (v4 && address.broadcast) put_address(*message, IFA_BROADCAST, *address.broadcast);
  if (v4 && !address.label.empty()) nla_put_string(message.get(), IFA_LABEL, address.label.c_str());
  nla_put_u8(message.get(), IFA_PROTO, host::address_protocol);
  return message;
}

bool adds(const host::Operation& operation) { return std::holds_alternative<host::AddAddress>(operation); }

MessagePtr build_message(const host::Operation& operation) {
  return std::visit([&](const auto& one) { return build_message(adds(operation), one.link_index, one.address); },
                    operation);
}

const host::HostAddress& address_of(const host::Operation& operation) {
  return std::visit([](const auto& one) -> const host::HostAddress& { return one.address; }, operation);
}

bool is_needless(const host::Operation& operation, int error) {
  return adds(operation) ? error == EEXIST : error == EADDRNOTAVAIL || error == ENODEV;
}

}  // namespace

Result<host::NetworkState> read_network() {
  auto socket = NetlinkSocket::open({});
  if (!socket) return std::unexpected(socket.error());
  std::vector<host::Notification> links, addresses;
  const auto collect = [](std::vector<host::Notification>& result) {
    return [&result](nlmsghdr& message) {
      if (auto said = parse(message)) result.push_back(std::move(*said));
    };
  };
  ifinfomsg every_link{};
  const auto link_request = new_message(RTM_GETLINK, 0, every_link);
  // Without the statistics and the virtual functions' details, which are most of a link's bytes.
  constexpr std::uint32_t skip_statistics = 1U << 3;  // RTEXT_FILTER_SKIP_STATS
  nla_put_u32(link_request.get(), IFLA_EXT_MASK, skip_statistics);
  auto read = socket->dump(*link_request, collect(links), [&] { links.clear(); });
  if (!read) return std::unexpected(read.error().with_context("read interfaces"));
  ifaddrmsg every_address{};
  const auto address_request = new_message(RTM_GETADDR, 0, every_address);
  read = socket->dump(*address_request, collect(addresses), [&] { addresses.clear(); });
  if (!read) return std::unexpected(read.error().with_context("read addresses"));
  links.insert(links.end(), addresses.begin(), addresses.end());
  return host::make_state(links);
}

Result<std::unique_ptr<KernelHost>> KernelHost::open() {
  const std::array groups{static_cast<int>(RTNLGRP_LINK), static_cast<int>(RTNLGRP_IPV4_IFADDR),
                          static_cast<int>(RTNLGRP_IPV6_IFADDR)};
  auto socket = NetlinkSocket::open(groups);
  if (!socket) return std::unexpected(socket.error());
  return std::unique_ptr<KernelHost>(new KernelHost(std::move(*socket)));
}

Result<void> KernelHost::allow_changes() {
  auto socket = NetlinkSocket::open({});
  if (!socket) return std::unexpected(socket.error());
  // Interface 0 does not exist: with the right the kernel says ENODEV, without it EPERM.
  std::vector<MessagePtr> requests;
  requests.push_back(build_message(
      false, 0,
      {.interface = {}, .prefix = {IpAddress::v4(0x7f000001), 32}, .scope = 0, .label = {}, .broadcast = {}}));
  const auto answer = socket->transact(requests);
  if (!answer) return std::unexpected(answer.error());
  if (answer->front() == EPERM || answer->front() == EACCES) {
    return std::unexpected(missing_right("change addresses", "NET_ADMIN"));
  }
  table_ = std::make_unique<NetlinkSocket>(std::move(*socket));
  return {};
}

Result<host::NetworkState> KernelHost::read() { return read_network(); }

std::vector<host::Answer> KernelHost::apply(std::span<const host::Operation> operations) {
  std::vector<MessagePtr> requests;
  requests.reserve(operations.size());
  for (const auto& operation : operations) requests.push_back(build_message(operation));
  const auto errors = table_->transact(requests);
  std::vector<host::Answer> answers(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    host::Answer& answer = answers[i];
    const int error = errors ? (*errors)[i] : 0;
    if (errors && error == 0) continue;
    if (errors && is_needless(operations[i], error)) {
      answer.outcome = host::Outcome::needless;
      continue;
    }
    answer.outcome = errors ? host::Outcome::refused : host::Outcome::unknown;
    const auto& address = address_of(operations[i]);
    answer.message = std::string(adds(operations[i]) ? "cannot add " : "cannot remove ") + address.prefix.to_string() +
                     (adds(operations[i]) ? " to " : " from ") + address.interface + ": " +
                     (errors ? std::strerror(error) : errors.error().message);
  }
  return answers;
}

Result<std::vector<host::Notification>> KernelHost::changes() {
  std::vector<host::Notification> said;
  const auto received = monitor_.receive([&](nlmsghdr& message) {
    if (auto one = parse(message)) said.push_back(std::move(*one));
  });
  if (received) return said;
  // What is still queued is older than what was lost behind it.
  constexpr int most_tries = 64;  // each one more loss; what is left after so many is read beside the fresh state
  for (int i = 0; i < most_tries; ++i) {
    if (monitor_.receive([](nlmsghdr&) {})) break;
  }
  return std::unexpected(received.error());
}

}  // namespace vipkeeper::net
