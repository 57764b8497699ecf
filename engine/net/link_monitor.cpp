#include "engine/net/link_monitor.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace vipkeeper::net {
namespace {

std::vector<std::byte> bytes_of(nlattr* attribute) {
  const auto* begin = static_cast<const std::byte*>(nla_data(attribute));
  return {begin, begin + nla_len(attribute)};
}

// A link, or nullopt for what is not one: a bridge tells of its ports in RTM_*LINK messages of family AF_BRIDGE, and
// "deleted" there means "no longer a port".
std::optional<Link> parse_link(nlmsghdr& message) {
  if (!nlmsg_valid_hdr(&message, sizeof(ifinfomsg))) return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(&message));
  if (info->ifi_family != AF_UNSPEC) return std::nullopt;
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (nlmsg_parse(&message, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) return std::nullopt;
  Link link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.running = (info->ifi_flags & IFF_RUNNING) != 0;
  link.arp = (info->ifi_flags & IFF_NOARP) == 0;
  link.multicast = (info->ifi_flags & IFF_MULTICAST) != 0;
  link.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
  link.hardware_type = info->ifi_type;
  if (attributes[IFLA_IFNAME] != nullptr) link.name = nla_get_string(attributes[IFLA_IFNAME]);
  if (attributes[IFLA_MTU] != nullptr) link.mtu = nla_get_u32(attributes[IFLA_MTU]);
  if (attributes[IFLA_ADDRESS] != nullptr) link.mac = bytes_of(attributes[IFLA_ADDRESS]);
  return link;
}

std::optional<InterfaceAddress> parse_address(nlmsghdr& message) {
  if (!nlmsg_valid_hdr(&message, sizeof(ifaddrmsg))) return std::nullopt;
  const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(&message));
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  if (nlmsg_parse(&message, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) < 0) return std::nullopt;
  // IFA_ADDRESS is the other end of a point-to-point link; without IFA_LOCAL it is our own.
  nlattr* local = attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  if (local == nullptr) return std::nullopt;
  const auto address = IpAddress::from_bytes(bytes_of(local));
  if (!address) return std::nullopt;
  InterfaceAddress result;
  result.index = static_cast<int>(info->ifa_index);
  result.prefix = {*address, info->ifa_prefixlen};
  result.scope = info->ifa_scope;
  result.secondary = (info->ifa_flags & IFA_F_SECONDARY) != 0;
  if (attributes[IFA_PROTO] != nullptr) result.protocol = nla_get_u8(attributes[IFA_PROTO]);
  return result;
}

void apply_link(NetworkState& state, nlmsghdr& message, std::vector<LinkChange>* changes) {
  auto link = parse_link(message);
  if (!link) return;
  const auto known = state.links.find(link->index);
  LinkChange change;
  if (known != state.links.end()) change.before = known->second;
  if (message.nlmsg_type == RTM_DELLINK) {
    if (known != state.links.end()) state.links.erase(known);
  } else {
    change.after = *link;
    state.links[link->index] = std::move(*link);
  }
  if (changes != nullptr && change.before != change.after) changes->push_back(std::move(change));
}

}  // namespace

const Link* NetworkState::find_link(std::string_view name) const {
  for (const auto& [index, link] : links) {
    if (link.name == name) return &link;
  }
  return nullptr;
}

Result<NetworkState> read_network() {
  auto socket = NetlinkSocket::open({});
  if (!socket) return std::unexpected(socket.error());
  NetworkState state;
  ifinfomsg every_link{};
  const auto links = new_message(RTM_GETLINK, 0, every_link);
  // Without the statistics and the virtual functions' details, which are most of a link's bytes.
  constexpr std::uint32_t skip_statistics = 1U << 3;  // RTEXT_FILTER_SKIP_STATS
  nla_put_u32(links.get(), IFLA_EXT_MASK, skip_statistics);
  auto read = socket->dump(
      *links, [&](nlmsghdr& message) { apply_link(state, message, nullptr); }, [&] { state.links.clear(); });
  if (!read) return std::unexpected(read.error().with_context("read interfaces"));

  ifaddrmsg every_address{};
  const auto addresses = new_message(RTM_GETADDR, 0, every_address);
  std::uint64_t order = 0;
  read = socket->dump(
      *addresses,
      [&](nlmsghdr& message) {
        auto address = parse_address(message);
        if (!address) return;
        if (const auto link = state.links.find(address->index); link != state.links.end()) {
          address->interface = link->second.name;
        }
        address->order = order++;
        state.addresses.insert_or_assign({address->index, address->prefix}, std::move(*address));
      },
      [&] { state.addresses.clear(); });
  if (!read) return std::unexpected(read.error().with_context("read addresses"));
  return state;
}

Result<std::unique_ptr<LinkMonitor>> LinkMonitor::open() {
  const std::array groups{static_cast<int>(RTNLGRP_LINK), static_cast<int>(RTNLGRP_IPV4_IFADDR),
                          static_cast<int>(RTNLGRP_IPV6_IFADDR)};
  auto socket = NetlinkSocket::open(groups);
  if (!socket) return std::unexpected(socket.error());
  std::unique_ptr<LinkMonitor> monitor(new LinkMonitor(std::move(*socket)));
  // After subscribing: what changes while it is read comes again as a notification.
  auto state = read_network();
  if (!state) return std::unexpected(state.error());
  monitor->next_order_ = state->addresses.size();
  monitor->state_ = std::move(*state);
  return monitor;
}

void LinkMonitor::handle(nlmsghdr& message, NetworkChanges& changes) {
  if (message.nlmsg_type == RTM_NEWLINK || message.nlmsg_type == RTM_DELLINK) {
    apply_link(state_, message, &changes.links);
    return;
  }
  if (message.nlmsg_type != RTM_NEWADDR && message.nlmsg_type != RTM_DELADDR) return;
  auto address = parse_address(message);
  if (!address) return;
  if (const auto link = state_.links.find(address->index); link != state_.links.end()) {
    address->interface = link->second.name;
  }
  const auto key = std::pair(address->index, address->prefix);
  const auto known = state_.addresses.find(key);
  if (message.nlmsg_type == RTM_DELADDR) {
    if (known == state_.addresses.end()) return;
    state_.addresses.erase(known);
    changes.removed.push_back(std::move(*address));
  } else if (known == state_.addresses.end()) {
    address->order = next_order_++;
    changes.added.push_back(*address);
    state_.addresses.emplace(key, std::move(*address));
  } else if (known->second != *address) {
    address->order = known->second.order;
    changes.added.push_back(*address);
    known->second = std::move(*address);
  }
}

Result<NetworkChanges> LinkMonitor::read_changes() {
  NetworkChanges changes;
  const auto received = socket_.receive([&](nlmsghdr& message) { handle(message, changes); });
  if (received) return changes;
  if (received.error().code != ErrorCode::unavailable) return std::unexpected(received.error());

  auto fresh = read_network();
  if (!fresh) return std::unexpected(fresh.error());
  for (const auto& [index, before] : state_.links) {
    const auto after = fresh->links.find(index);
    if (after == fresh->links.end()) {
      changes.links.push_back({before, std::nullopt});
    } else if (before != after->second) {
      changes.links.push_back({before, after->second});
    }
  }
  for (const auto& [index, after] : fresh->links) {
    if (!state_.links.contains(index)) changes.links.push_back({std::nullopt, after});
  }
  for (const auto& [key, address] : state_.addresses) {
    if (!fresh->addresses.contains(key)) changes.removed.push_back(address);
  }
  for (const auto& [key, address] : fresh->addresses) {
    const auto known = state_.addresses.find(key);
    if (known == state_.addresses.end() || known->second != address) changes.added.push_back(address);
  }
  next_order_ = std::max<std::uint64_t>(next_order_, fresh->addresses.size());
  state_ = std::move(*fresh);
  return changes;
}

Result<std::vector<Link>> read_links() {
  auto state = read_network();
  if (!state) return std::unexpected(state.error());
  std::vector<Link> links;
  for (auto& [index, link] : state->links) links.push_back(std::move(link));
  return links;
}

Result<std::vector<InterfaceAddress>> read_addresses() {
  auto state = read_network();
  if (!state) return std::unexpected(state.error());
  std::vector<InterfaceAddress> addresses;
  for (auto& [key, address] : state->addresses) addresses.push_back(std::move(address));
  std::ranges::sort(addresses, {}, &InterfaceAddress::order);
  return addresses;
}

}  // namespace vipkeeper::net
