#include "engine/net/netlink/ipvs_codec.h"

#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

namespace vipkeeper::net {
namespace {

static_assert(ipvs::flag_persistent == IP_VS_SVC_F_PERSISTENT && ipvs::flag_hashed == IP_VS_SVC_F_HASHED &&
              ipvs::flag_one_packet == IP_VS_SVC_F_ONEPACKET && ipvs::flag_scheduler1 == IP_VS_SVC_F_SCHED1 &&
              ipvs::flag_scheduler2 == IP_VS_SVC_F_SCHED2 && ipvs::flag_scheduler3 == IP_VS_SVC_F_SCHED3);

// A command of ours has two nested attributes with at most a dozen small ones.
constexpr std::size_t message_size = 512;

std::uint16_t family_number(Family family) { return family == Family::ipv4 ? AF_INET : AF_INET6; }

std::uint32_t method_number(ipvs::ForwardingMethod method) {
  switch (method) {
    case ipvs::ForwardingMethod::masquerade:
      return IP_VS_CONN_F_MASQ;
    case ipvs::ForwardingMethod::direct:
      return IP_VS_CONN_F_DROUTE;
    case ipvs::ForwardingMethod::tunnel:
      return IP_VS_CONN_F_TUNNEL;
  }
  return IP_VS_CONN_F_MASQ;
}

// The two methods that no user can ask for (local node, bypass) are shown as what they do: deliver here, unchanged.
ipvs::ForwardingMethod method_of(std::uint32_t number) {
  switch (number & IP_VS_CONN_F_FWD_MASK) {
    case IP_VS_CONN_F_MASQ:
      return ipvs::ForwardingMethod::masquerade;
    case IP_VS_CONN_F_TUNNEL:
      return ipvs::ForwardingMethod::tunnel;
    default:
      return ipvs::ForwardingMethod::direct;
  }
}

MessagePtr new_command(int family_id, std::uint32_t sequence, int flags, std::uint8_t command) {
  MessagePtr message(nlmsg_alloc_size(message_size));
  genlmsg_put(message.get(), 0, sequence, family_id, 0, NLM_F_REQUEST | flags, command, IPVS_GENL_VERSION);
  return message;
}

// Kernels take and give an address as the 16 bytes of union nf_inet_addr, IPv4 in the first four.
void put_address(nl_msg* message, int attribute, const IpAddress& address) {
  std::array<std::byte, 16> bytes{};
  std::ranges::copy(address.bytes(), bytes.begin());
  nla_put(message, attribute, static_cast<int>(bytes.size()), bytes.data());
}

std::optional<IpAddress> get_address(nlattr* attribute, Family family) {
  const std::span bytes(static_cast<const std::byte*>(nla_data(attribute)),
                        static_cast<std::size_t>(nla_len(attribute)));
  const std::size_t size = family == Family::ipv4 ? 4 : 16;
  return bytes.size() < size ? std::nullopt : IpAddress::from_bytes(bytes.first(size));
}

// IPv4: a mask in network order; IPv6: a prefix length in host order.
std::uint32_t netmask_number(Family family, std::uint32_t prefix) {
  if (family == Family::ipv6) return prefix;
  return prefix == 0 ? 0 : htonl(~std::uint32_t{0} << (32 - std::min(prefix, 32U)));
}

std::uint32_t prefix_of(Family family, std::uint32_t netmask) {
  return family == Family::ipv6 ? netmask : static_cast<std::uint32_t>(std::popcount(netmask));
}

void put_key(nl_msg* message, const ipvs::ServiceKey& key) {
  nla_put_u16(message, IPVS_SVC_ATTR_AF, family_number(key.family));
  if (key.fwmark != 0) {
    nla_put_u32(message, IPVS_SVC_ATTR_FWMARK, key.fwmark);
    return;
  }
  nla_put_u16(message, IPVS_SVC_ATTR_PROTOCOL, static_cast<std::uint16_t>(key.protocol));
  put_address(message, IPVS_SVC_ATTR_ADDR, key.address);
  nla_put_u16(message, IPVS_SVC_ATTR_PORT, htons(key.port));
}

void put_service(nl_msg* message, const ipvs::ServiceKey& key, const ipvs::Service* service) {
  nlattr* nest = nla_nest_start(message, IPVS_CMD_ATTR_SERVICE);
  put_key(message, key);
  if (service != nullptr) {
    const bool persistent = service->persistence_seconds != 0;
    const ip_vs_flags flags{service->flags | (persistent ? ipvs::flag_persistent : 0U), ~std::uint32_t{0}};
    nla_put_string(message, IPVS_SVC_ATTR_SCHED_NAME, service->scheduler.c_str());
    nla_put(message, IPVS_SVC_ATTR_FLAGS, sizeof flags, &flags);
    nla_put_u32(message, IPVS_SVC_ATTR_TIMEOUT, service->persistence_seconds);
    nla_put_u32(message, IPVS_SVC_ATTR_NETMASK, netmask_number(key.family, service->persistence_prefix));
  }
  nla_nest_end(message, nest);
}

void put_destination(nl_msg* message, const ipvs::DestinationKey& key, const ipvs::Destination* destination) {
  nlattr* nest = nla_nest_start(message, IPVS_CMD_ATTR_DEST);
  nla_put_u16(message, IPVS_DEST_ATTR_ADDR_FAMILY, family_number(key.address.family()));
  put_address(message, IPVS_DEST_ATTR_ADDR, key.address);
  nla_put_u16(message, IPVS_DEST_ATTR_PORT, htons(key.port));
  if (destination != nullptr) {
    nla_put_u32(message, IPVS_DEST_ATTR_FWD_METHOD, method_number(destination->method));
    nla_put_u32(message, IPVS_DEST_ATTR_WEIGHT, static_cast<std::uint32_t>(destination->weight));
    nla_put_u32(message, IPVS_DEST_ATTR_U_THRESH, destination->upper_threshold);
    nla_put_u32(message, IPVS_DEST_ATTR_L_THRESH, destination->lower_threshold);
  }
  nla_nest_end(message, nest);
}

struct OperationBuilder {
  int family_id;
  std::uint32_t sequence;
  int flags;

  [[nodiscard]] MessagePtr service(std::uint8_t command, const ipvs::ServiceKey& key,
                                   const ipvs::Service* service) const {
    MessagePtr message = new_command(family_id, sequence, flags, command);
    put_service(message.get(), key, service);
    return message;
  }
  [[nodiscard]] MessagePtr destination(std::uint8_t command, const ipvs::ServiceKey& key,
                                       const ipvs::DestinationKey& which, const ipvs::Destination* destination) const {
    MessagePtr message = service(command, key, nullptr);
    put_destination(message.get(), which, destination);
    return message;
  }

  MessagePtr operator()(const ipvs::AddService& o) const { return service(IPVS_CMD_NEW_SERVICE, o.key, &o.service); }
  MessagePtr operator()(const ipvs::SetService& o) const { return service(IPVS_CMD_SET_SERVICE, o.key, &o.service); }
  MessagePtr operator()(const ipvs::DeleteService& o) const { return service(IPVS_CMD_DEL_SERVICE, o.key, nullptr); }
  MessagePtr operator()(const ipvs::AddDestination& o) const {
    return destination(IPVS_CMD_NEW_DEST, o.service, o.key, &o.destination);
  }
  MessagePtr operator()(const ipvs::SetDestination& o) const {
    return destination(IPVS_CMD_SET_DEST, o.service, o.key, &o.destination);
  }
  MessagePtr operator()(const ipvs::DeleteDestination& o) const {
    return destination(IPVS_CMD_DEL_DEST, o.service, o.key, nullptr);
  }
};

nla_policy fixed(std::uint16_t type) { return {type, 0, 0}; }
nla_policy at_least(std::uint16_t length) { return {NLA_UNSPEC, length, 0}; }

using ServiceAttributes = std::array<nlattr*, IPVS_SVC_ATTR_MAX + 1>;
using DestinationAttributes = std::array<nlattr*, IPVS_DEST_ATTR_MAX + 1>;

// The attributes nested in the one of the first level; false: there is none, or one does not fit its policy.
template <std::size_t N>
bool parse_nested(nlmsghdr* header, int outer, std::array<nlattr*, N>& attributes, std::array<nla_policy, N> policy) {
  std::array<nlattr*, IPVS_CMD_ATTR_MAX + 1> top{};
  if (genlmsg_parse(header, 0, top.data(), IPVS_CMD_ATTR_MAX, nullptr) < 0) return false;
  nlattr* nest = top[static_cast<std::size_t>(outer)];
  return nest != nullptr && nla_parse_nested(attributes.data(), static_cast<int>(N) - 1, nest, policy.data()) >= 0;
}

// Only counters that people ask for. 64-bit ones exist since Linux 4.1; attribute numbers are IPVS_STATS_ATTR_*.
void read_service_stats(const ServiceAttributes& attributes, ipvs::ServiceStats& stats) {
  nlattr* nest = attributes[IPVS_SVC_ATTR_STATS64];
  if (nest == nullptr) return;
  std::array<nlattr*, IPVS_STATS_ATTR_MAX + 1> counters{};
  if (nla_parse_nested(counters.data(), IPVS_STATS_ATTR_MAX, nest, nullptr) < 0) return;
  const auto number = [&](std::size_t attribute) -> std::uint64_t {
    nlattr* counter = counters[attribute];
    return counter != nullptr && nla_len(counter) >= 8 ? nla_get_u64(counter) : 0;
  };
  stats.connections = number(IPVS_STATS_ATTR_CONNS);
  stats.bytes_in = number(IPVS_STATS_ATTR_INBYTES);
  stats.bytes_out = number(IPVS_STATS_ATTR_OUTBYTES);
}

std::optional<ipvs::ServiceKey> read_key(const ServiceAttributes& attributes) {
  if (attributes[IPVS_SVC_ATTR_AF] == nullptr) return std::nullopt;
  ipvs::ServiceKey key;
  key.family = nla_get_u16(attributes[IPVS_SVC_ATTR_AF]) == AF_INET6 ? Family::ipv6 : Family::ipv4;
  if (attributes[IPVS_SVC_ATTR_FWMARK] != nullptr) {
    key.fwmark = nla_get_u32(attributes[IPVS_SVC_ATTR_FWMARK]);
    return ipvs::normalized(key);
  }
  nlattr* address = attributes[IPVS_SVC_ATTR_ADDR];
  nlattr* protocol = attributes[IPVS_SVC_ATTR_PROTOCOL];
  nlattr* port = attributes[IPVS_SVC_ATTR_PORT];
  if (address == nullptr || protocol == nullptr || port == nullptr) return std::nullopt;
  const auto parsed = get_address(address, key.family);
  if (!parsed) return std::nullopt;
  key.protocol = static_cast<Protocol>(nla_get_u16(protocol));
  key.address = *parsed;
  key.port = ntohs(nla_get_u16(port));
  return key;
}

}  // namespace

MessagePtr build_operation(const ipvs::Operation& operation, int family_id, std::uint32_t sequence, int flags) {
  return std::visit(OperationBuilder{family_id, sequence, flags}, operation);
}

MessagePtr build_get_services(int family_id, std::uint32_t sequence) {
  return new_command(family_id, sequence, NLM_F_DUMP, IPVS_CMD_GET_SERVICE);
}

MessagePtr build_get_service(const ipvs::ServiceKey& key, int family_id, std::uint32_t sequence) {
  return OperationBuilder{family_id, sequence, NLM_F_ACK}.service(IPVS_CMD_GET_SERVICE, key, nullptr);
}

MessagePtr build_get_destinations(const ipvs::ServiceKey& key, int family_id, std::uint32_t sequence) {
  return OperationBuilder{family_id, sequence, NLM_F_DUMP}.service(IPVS_CMD_GET_DEST, key, nullptr);
}

Result<ServiceReply> parse_service(nlmsghdr* header) {
  std::array<nla_policy, IPVS_SVC_ATTR_MAX + 1> policy{};
  policy[IPVS_SVC_ATTR_AF] = policy[IPVS_SVC_ATTR_PROTOCOL] = policy[IPVS_SVC_ATTR_PORT] = fixed(NLA_U16);
  policy[IPVS_SVC_ATTR_FWMARK] = policy[IPVS_SVC_ATTR_TIMEOUT] = policy[IPVS_SVC_ATTR_NETMASK] = fixed(NLA_U32);
  policy[IPVS_SVC_ATTR_ADDR] = at_least(4);
  policy[IPVS_SVC_ATTR_SCHED_NAME] = fixed(NLA_STRING);
  policy[IPVS_SVC_ATTR_FLAGS] = at_least(sizeof(ip_vs_flags));
  policy[IPVS_SVC_ATTR_STATS64] = fixed(NLA_NESTED);
  ServiceAttributes attributes{};
  if (!parse_nested(header, IPVS_CMD_ATTR_SERVICE, attributes, policy))
    return failure(ErrorCode::io, "the kernel described a virtual service in a way that is not understood");
  const auto key = read_key(attributes);
  nlattr* scheduler = attributes[IPVS_SVC_ATTR_SCHED_NAME];
  nlattr* flags = attributes[IPVS_SVC_ATTR_FLAGS];
  nlattr* timeout = attributes[IPVS_SVC_ATTR_TIMEOUT];
  nlattr* netmask = attributes[IPVS_SVC_ATTR_NETMASK];
  if (!key || scheduler == nullptr || flags == nullptr || timeout == nullptr || netmask == nullptr)
    return failure(ErrorCode::io, "the kernel described a virtual service without its address or settings");

  ServiceReply reply;
  reply.key = *key;
  ip_vs_flags bits{};
  std::memcpy(&bits, nla_data(flags), sizeof bits);
  reply.service.scheduler = nla_get_string(scheduler);
  reply.service.flags = bits.flags;
  reply.service.persistence_seconds = (bits.flags & IP_VS_SVC_F_PERSISTENT) != 0 ? nla_get_u32(timeout) : 0;
  reply.service.persistence_prefix = prefix_of(key->family, nla_get_u32(netmask));
  reply.service = ipvs::normalized(*key, std::move(reply.service));
  read_service_stats(attributes, reply.stats);
  return reply;
}

Result<DestinationReply> parse_destination(nlmsghdr* header, const ipvs::ServiceKey& service) {
  std::array<nla_policy, IPVS_DEST_ATTR_MAX + 1> policy{};
  policy[IPVS_DEST_ATTR_ADDR] = at_least(4);
  policy[IPVS_DEST_ATTR_PORT] = policy[IPVS_DEST_ATTR_ADDR_FAMILY] = fixed(NLA_U16);
  for (const int attribute : {IPVS_DEST_ATTR_FWD_METHOD, IPVS_DEST_ATTR_WEIGHT, IPVS_DEST_ATTR_U_THRESH,
                              IPVS_DEST_ATTR_L_THRESH, IPVS_DEST_ATTR_ACTIVE_CONNS, IPVS_DEST_ATTR_INACT_CONNS})
    policy[static_cast<std::size_t>(attribute)] = fixed(NLA_U32);
  DestinationAttributes attributes{};
  if (!parse_nested(header, IPVS_CMD_ATTR_DEST, attributes, policy))
    return failure(ErrorCode::io, "the kernel described a real server in a way that is not understood");
  const auto number = [&](std::size_t attribute) {
    return attributes[attribute] != nullptr ? nla_get_u32(attributes[attribute]) : 0U;
  };
  nlattr* family = attributes[IPVS_DEST_ATTR_ADDR_FAMILY];
  const bool is_v6 = family != nullptr ? nla_get_u16(family) == AF_INET6 : service.family == Family::ipv6;
  nlattr* address = attributes[IPVS_DEST_ATTR_ADDR];
  const auto parsed = address == nullptr ? std::nullopt : get_address(address, is_v6 ? Family::ipv6 : Family::ipv4);
  if (!parsed || attributes[IPVS_DEST_ATTR_PORT] == nullptr || attributes[IPVS_DEST_ATTR_WEIGHT] == nullptr)
    return failure(ErrorCode::io, "the kernel described a real server without its address or weight");

  DestinationReply reply;
  reply.key = {*parsed, ntohs(nla_get_u16(attributes[IPVS_DEST_ATTR_PORT]))};
  reply.destination.weight = static_cast<std::int32_t>(number(IPVS_DEST_ATTR_WEIGHT));
  reply.destination.method = method_of(number(IPVS_DEST_ATTR_FWD_METHOD));
  reply.destination.upper_threshold = number(IPVS_DEST_ATTR_U_THRESH);
  reply.destination.lower_threshold = number(IPVS_DEST_ATTR_L_THRESH);
  reply.stats.active_connections = number(IPVS_DEST_ATTR_ACTIVE_CONNS);
  reply.stats.inactive_connections = number(IPVS_DEST_ATTR_INACT_CONNS);
  return reply;
}

}  // namespace vipkeeper::net
