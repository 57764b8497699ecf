#include "engine/net/filter/ipset.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace vipkeeper::net {
namespace {

using return_path::ServicePort;

// Understood by every kernel since 2.6.39.
constexpr std::uint8_t protocol_version = 6;
// Of both types: the oldest that ipset(8) of today writes.
constexpr std::uint8_t type_revision = 1;
constexpr std::uint32_t most_elements = 1U << 20U;
constexpr int no_set = ENOENT;

MessagePtr new_request(int command, int flags, Family family, const std::string& set) {
  const nfgenmsg header{static_cast<std::uint8_t>(family == Family::ipv4 ? AF_INET : AF_INET6), NFNETLINK_V0, 0};
  auto message = new_message((NFNL_SUBSYS_IPSET << 8) | command, flags, header);
  nla_put_u8(message.get(), IPSET_ATTR_PROTOCOL, protocol_version);
  nla_put_string(message.get(), IPSET_ATTR_SETNAME, set.c_str());
  return message;
}

void put_u32(nl_msg* message, int type, std::uint32_t value) {
  nla_put_u32(message, type | NLA_F_NET_BYTEORDER, htonl(value));
}

void put_address(nl_msg* message, const IpAddress& address) {
  nlattr* nest = nla_nest_start(message, IPSET_ATTR_IP | NLA_F_NESTED);
  const auto bytes = address.bytes();
  nla_put(message, (address.is_v4() ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6) | NLA_F_NET_BYTEORDER,
          static_cast<int>(bytes.size()), bytes.data());
  nla_nest_end(message, nest);
}

Family family_of(const IpSets::Element& element) {
  const auto* service = std::get_if<ServicePort>(&element);
  return service != nullptr ? service->address.family() : std::get<IpPrefix>(element).address.family();
}

MessagePtr element_request(const IpSets::Change& change) {
  auto message = new_request(change.add ? IPSET_CMD_ADD : IPSET_CMD_DEL, 0, family_of(change.element), change.set);
  nlattr* data = nla_nest_start(message.get(), IPSET_ATTR_DATA | NLA_F_NESTED);
  if (const auto* service = std::get_if<ServicePort>(&change.element)) {
    put_address(message.get(), service->address);
    nla_put_u16(message.get(), IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, htons(service->port));
    nla_put_u8(message.get(), IPSET_ATTR_PROTO, static_cast<std::uint8_t>(service->protocol));
  } else {
    const auto& network = std::get<IpPrefix>(change.element);
    put_address(message.get(), network.address);
    nla_put_u8(message.get(), IPSET_ATTR_CIDR, network.length);
  }
  nla_nest_end(message.get(), data);
  return message;
}

// The attribute of a nest, its byte order flag aside.
const nlattr* find(const nlattr* nest, int type) {
  const nlattr* attribute = static_cast<const nlattr*>(nla_data(nest));
  int rest = nla_len(nest);
  for (; nla_ok(attribute, rest); attribute = nla_next(attribute, &rest))
    if (nla_type(attribute) == type) return attribute;
  return nullptr;
}

template <class Number>
std::optional<Number> number(const nlattr* nest, int type) {
  const nlattr* attribute = find(nest, type);
  if (attribute == nullptr || nla_len(attribute) != static_cast<int>(sizeof(Number))) return std::nullopt;
  Number value{};
  std::memcpy(&value, nla_data(attribute), sizeof value);
  return value;
}

std::optional<IpAddress> address_in(const nlattr* data) {
  const nlattr* nest = find(data, IPSET_ATTR_IP);
  if (nest == nullptr) return std::nullopt;
  for (const int type : {IPSET_ATTR_IPADDR_IPV4, IPSET_ATTR_IPADDR_IPV6}) {
    const nlattr* bytes = find(nest, type);
    if (bytes == nullptr) continue;
    return IpAddress::from_bytes(
        std::as_bytes(std::span(static_cast<const char*>(nla_data(bytes)), static_cast<std::size_t>(nla_len(bytes)))));
  }
  return std::nullopt;
}

std::optional<IpSets::Element> element_in(const nlattr* data) {
  const auto address = address_in(data);
  if (!address) return std::nullopt;
  const auto port = number<std::uint16_t>(data, IPSET_ATTR_PORT);
  if (!port) {
    const auto length = number<std::uint8_t>(data, IPSET_ATTR_CIDR);
    return IpPrefix{*address, length.value_or(static_cast<std::uint8_t>(address->bit_length()))};
  }
  const auto protocol = number<std::uint8_t>(data, IPSET_ATTR_PROTO);
  for (const Protocol known : {Protocol::tcp, Protocol::udp, Protocol::sctp})
    if (protocol == static_cast<std::uint8_t>(known)) return ServicePort{*address, known, ntohs(*port)};
  return std::nullopt;
}

Error refused(std::string_view what, int number) {
  if (number == EPERM) return {ErrorCode::permission, fmt::format("{}: the capability NET_ADMIN is missing", what)};
  if (number == IPSET_ERR_FIND_TYPE || number == EINVAL || number == EOPNOTSUPP)
    return {ErrorCode::unsupported, fmt::format("{}: load ip_set, ip_set_hash_ipport and ip_set_hash_net", what)};
  if (number == EEXIST)
    return {ErrorCode::already_exists, fmt::format("{}: a set of that name and another kind is there", what)};
  if (number == IPSET_ERR_BUSY || number == EBUSY || number == IPSET_ERR_REFERENCED)
    return {ErrorCode::io, fmt::format("{}: a rule uses it", what)};
  return {number == no_set ? ErrorCode::not_found : ErrorCode::io,
          number < IPSET_ERR_PRIVATE ? fmt::format("{}: {}", what, std::generic_category().message(number))
                                     : fmt::format("{}: ip_set error {}", what, number)};
}

}  // namespace

std::vector<IpSets::Element> parse_ipset_elements(nlmsghdr& message) {
  std::vector<IpSets::Element> elements;
  const nlattr* list = nlmsg_find_attr(&message, sizeof(nfgenmsg), IPSET_ATTR_ADT);
  if (list == nullptr) return elements;
  const nlattr* data = static_cast<const nlattr*>(nla_data(list));
  int rest = nla_len(list);
  for (; nla_ok(data, rest); data = nla_next(data, &rest))
    if (nla_type(data) == IPSET_ATTR_DATA)
      if (auto element = element_in(data)) elements.push_back(*element);
  return elements;
}

Result<IpSets> IpSets::open() {
  auto socket = NetlinkSocket::open({}, NETLINK_NETFILTER);
  if (!socket) return std::unexpected(socket.error());
  return IpSets(std::move(*socket));
}

Result<void> IpSets::ask(std::span<const MessagePtr> requests, std::string_view what, std::span<const int> good) {
  const auto answers = socket_.transact(requests);
  if (!answers) return std::unexpected(answers.error().with_context(what));
  for (const int number : *answers) {
    if (number == 0 || std::ranges::find(good, number) != good.end()) continue;
    return std::unexpected(refused(what, number));
  }
  return {};
}

Result<void> IpSets::make(const std::string& set, Type type, Family family) {
  const std::array requests{new_request(IPSET_CMD_CREATE, 0, family, set)};
  nl_msg* create = requests[0].get();
  nla_put_string(create, IPSET_ATTR_TYPENAME, type == Type::services ? "hash:ip,port" : "hash:net");
  nla_put_u8(create, IPSET_ATTR_REVISION, type_revision);
  nla_put_u8(create, IPSET_ATTR_FAMILY, family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  nlattr* data = nla_nest_start(create, IPSET_ATTR_DATA | NLA_F_NESTED);
  put_u32(create, IPSET_ATTR_MAXELEM, most_elements);
  nla_nest_end(create, data);
  return ask(requests, "making the set " + set, {});
}

Result<void> IpSets::destroy(const std::string& set) {
  const std::array requests{new_request(IPSET_CMD_DESTROY, 0, Family::ipv4, set)};
  constexpr std::array good{no_set};
  return ask(requests, "removing the set " + set, good);
}

Result<void> IpSets::apply(std::span<const Change> changes) {
  constexpr std::array good{int{IPSET_ERR_EXIST}};
  // libnl takes a page for each message: with thousands at a time that is what takes the time.
  constexpr std::size_t at_a_time = 128;
  for (; !changes.empty(); changes = changes.subspan(std::min(at_a_time, changes.size()))) {
    std::vector<MessagePtr> requests;
    for (const Change& change : changes.first(std::min(at_a_time, changes.size())))
      requests.push_back(element_request(change));
    if (auto changed = ask(requests, "changing a set", good); !changed) return changed;
  }
  return {};
}

Result<std::optional<std::vector<IpSets::Element>>> IpSets::list(const std::string& set) {
  std::vector<Element> elements;
  const auto request = new_request(IPSET_CMD_LIST, 0, Family::ipv4, set);
  const auto read = socket_.dump(
      *request,
      [&](nlmsghdr& message) {
        for (Element& element : parse_ipset_elements(message)) elements.push_back(std::move(element));
      },
      [&] { elements.clear(); });
  if (read) return elements;
  if (read.error().code == ErrorCode::not_found) return std::nullopt;
  return std::unexpected(read.error().with_context("reading the set " + set));
}

Result<std::optional<std::uint32_t>> IpSets::size(const std::string& set) {
  std::uint32_t count = 0;
  const auto request = new_request(IPSET_CMD_LIST, 0, Family::ipv4, set);
  put_u32(request.get(), IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_HEADER);
  const auto read = socket_.dump(
      *request,
      [&](nlmsghdr& message) {
        const nlattr* data = nlmsg_find_attr(&message, sizeof(nfgenmsg), IPSET_ATTR_DATA);
        if (data != nullptr) count = ntohl(number<std::uint32_t>(data, IPSET_ATTR_ELEMENTS).value_or(0));
      },
      [&] { count = 0; });
  if (read) return count;
  if (read.error().code == ErrorCode::not_found) return std::nullopt;
  return std::unexpected(read.error().with_context("reading the set " + set));
}

}  // namespace vipkeeper::net
