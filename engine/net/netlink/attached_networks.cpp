#include "engine/net/netlink/attached_networks.h"

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <set>
#include <span>

#include "engine/net/netlink/netlink_socket.h"

namespace vipkeeper::net {
namespace {

struct Route {
  IpPrefix to;
  int interface = 0;
  bool by_gateway = false;
};

// A route with several next hops names its interfaces in these; none of them is a pod's.
void take_next_hops(const nlattr* attribute, std::set<int>& leading_away) {
  const auto* hop = static_cast<const rtnexthop*>(nla_data(attribute));
  for (int rest = nla_len(attribute); rest >= static_cast<int>(sizeof *hop) && RTNH_OK(hop, rest);
       rest -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
    leading_away.insert(hop->rtnh_ifindex);
}

void take_route(nlmsghdr& message, std::vector<Route>& routes, std::set<int>& leading_away) {
  if (message.nlmsg_type != RTM_NEWROUTE || nlmsg_datalen(&message) < static_cast<int>(sizeof(rtmsg))) return;
  const auto& header = *static_cast<const rtmsg*>(nlmsg_data(&message));
  if (header.rtm_table != RT_TABLE_MAIN || header.rtm_type != RTN_UNICAST) return;
  const bool is_v4 = header.rtm_family == AF_INET;
  Route route;
  std::array<std::byte, 16> bytes{};
  const std::size_t size = is_v4 ? 4 : 16;
  const nlattr* attribute = nlmsg_attrdata(&message, sizeof(rtmsg));
  int rest = nlmsg_attrlen(&message, sizeof(rtmsg));
  for (; nla_ok(attribute, rest); attribute = nla_next(attribute, &rest)) {
    switch (nla_type(attribute)) {
      case RTA_DST:
        std::memcpy(bytes.data(), nla_data(attribute), std::min(size, static_cast<std::size_t>(nla_len(attribute))));
        break;
      case RTA_OIF:
        if (nla_len(attribute) == 4) std::memcpy(&route.interface, nla_data(attribute), 4);
        break;
      case RTA_GATEWAY:
      case RTA_VIA:
        route.by_gateway = true;
        break;
      case RTA_MULTIPATH:
        take_next_hops(attribute, leading_away);
        return;
      default:
        break;
    }
  }
  const auto address = IpAddress::from_bytes(std::span(bytes).first(size));
  if (!address || route.interface == 0) return;
  if (route.by_gateway) {
    leading_away.insert(route.interface);
    return;
  }
  if (address->is_link_local() || address->is_multicast()) return;
  routes.push_back({{*address, header.rtm_dst_len}, route.interface, false});
}

}  // namespace

Result<std::vector<return_path::AttachedNetwork>> read_attached_networks() {
  auto socket = NetlinkSocket::open({});
  if (!socket) return std::unexpected(socket.error());
  std::vector<Route> routes;
  std::set<int> leading_away;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    const auto request = new_message(RTM_GETROUTE, NLM_F_DUMP, header);
    const std::size_t before = routes.size();
    auto read = socket->dump(
        *request, [&](nlmsghdr& message) { take_route(message, routes, leading_away); },
        [&] { routes.resize(before); });
    if (!read) return std::unexpected(read.error().with_context("reading the routes"));
  }
  std::vector<return_path::AttachedNetwork> result;
  for (const Route& route : routes)
    result.push_back({route.to, route.interface, leading_away.contains(route.interface)});
  return result;
}

}  // namespace vipkeeper::net
