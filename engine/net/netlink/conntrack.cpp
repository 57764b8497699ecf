// ctnetlink in raw messages: the dump answers with one IPCTNL_MSG_CT_NEW an entry,
//
//     nfgenmsg
//     CTA_TUPLE_ORIG, CTA_TUPLE_REPLY    each a nest of CTA_TUPLE_IP { source, destination }
//                                        and CTA_TUPLE_PROTO { number, source port, destination port }
//     CTA_ZONE                           only outside zone 0
//     CTA_ID, ...
//
// The kernel could filter by itself (CTA_FILTER) since 5.8, but older ones are in use, and take such a dump as one of
// everything without a word.

#include "engine/net/netlink/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <system_error>

namespace vipkeeper::net {
namespace {

constexpr int message_type(int command) { return (NFNL_SUBSYS_CTNETLINK << 8) | command; }

const nlattr* in_nest(const nlattr* nest, int type) {
  return nest == nullptr ? nullptr : nla_find(static_cast<const nlattr*>(nla_data(nest)), nla_len(nest), type);
}

std::optional<IpAddress> address_in(const nlattr* nest, int type_v4, int type_v6) {
  const nlattr* found = in_nest(nest, type_v4);
  if (found == nullptr) found = in_nest(nest, type_v6);
  if (found == nullptr) return std::nullopt;
  return IpAddress::from_bytes(
      std::as_bytes(std::span(static_cast<const char*>(nla_data(found)), static_cast<std::size_t>(nla_len(found)))));
}

std::optional<std::uint16_t> port_in(const nlattr* nest, int type) {
  const nlattr* found = in_nest(nest, type);
  if (found == nullptr || nla_len(found) != sizeof(std::uint16_t)) return std::nullopt;
  return ntohs(nla_get_u16(found));
}

struct Tuple {
  std::uint8_t protocol = 0;
  FlowEnd source, destination;
};

std::optional<Tuple> tuple_in(nlmsghdr& message, int type) {
  const nlattr* nest = nlmsg_find_attr(&message, sizeof(nfgenmsg), type);
  const nlattr* addresses = in_nest(nest, CTA_TUPLE_IP);
  const nlattr* ports = in_nest(nest, CTA_TUPLE_PROTO);
  const nlattr* protocol = in_nest(ports, CTA_PROTO_NUM);
  const auto source = address_in(addresses, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  const auto destination = address_in(addresses, CTA_IP_V4_DST, CTA_IP_V6_DST);
  const auto source_port = port_in(ports, CTA_PROTO_SRC_PORT);
  const auto destination_port = port_in(ports, CTA_PROTO_DST_PORT);
  if (protocol == nullptr || nla_len(protocol) != 1 || !source || !destination || !source_port || !destination_port)
    return std::nullopt;
  return Tuple{nla_get_u8(protocol), {*source, *source_port}, {*destination, *destination_port}};
}

Error explained(const Error& error) {
  if (error.code != ErrorCode::unsupported) return error.with_context("forgetting UDP flows");
  return {ErrorCode::unsupported,
          "this kernel cannot be told to forget UDP flows: run \"modprobe nf_conntrack_netlink\" on the host"};
}

}  // namespace

std::optional<TrackedFlow> parse_tracked_flow(nlmsghdr& message) {
  const auto original = tuple_in(message, CTA_TUPLE_ORIG);
  const auto reply = tuple_in(message, CTA_TUPLE_REPLY);
  if (!original || !reply) return std::nullopt;
  return TrackedFlow{original->protocol, original->source, original->destination, reply->destination};
}

MessagePtr new_conntrack_dump() {
  const nfgenmsg header{AF_UNSPEC, NFNETLINK_V0, 0};
  return new_message(message_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, header);
}

MessagePtr new_conntrack_delete(nlmsghdr& entry) {
  auto message = new_message(message_type(IPCTNL_MSG_CT_DELETE), 0, nlmsg_data(&entry), sizeof(nfgenmsg));
  for (const int type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
    const nlattr* found = nlmsg_find_attr(&entry, sizeof(nfgenmsg), type);
    // As it came, the nest's flag with it.
    if (found != nullptr) nla_put(message.get(), found->nla_type, nla_len(found), nla_data(found));
  }
  return message;
}

Result<std::size_t> forget_udp_flows(std::span<const return_path::ServicePort> services) {
  std::set<FlowEnd> targets;
  for (const auto& service : services)
    if (service.protocol == Protocol::udp) targets.insert({service.address, service.port});
  if (targets.empty()) return 0;
  auto socket = NetlinkSocket::open({}, NETLINK_NETFILTER);
  if (!socket) return std::unexpected(explained(socket.error()));
  std::vector<MessagePtr> requests;
  const auto dump = new_conntrack_dump();
  const auto read = socket->dump(
      *dump,
      [&](nlmsghdr& entry) {
        const auto flow = parse_tracked_flow(entry);
        if (!flow || flow->protocol != IPPROTO_UDP || flow->is_masqueraded()) return;
        if (targets.contains(flow->destination)) requests.push_back(new_conntrack_delete(entry));
      },
      [&] { requests.clear(); });
  if (!read) return std::unexpected(explained(read.error()));
  const auto answers = socket->transact(requests);
  if (!answers) return std::unexpected(explained(answers.error()));
  for (const int number : *answers)
    if (number != 0 && number != ENOENT)  // it ended by itself meanwhile
      return failure(ErrorCode::io, "forgetting a UDP flow: " + std::generic_category().message(number));
  return static_cast<std::size_t>(std::ranges::count(*answers, 0));
}

}  // namespace vipkeeper::net
