#include "engine/net/address_table.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "engine/net/permission.h"

namespace vipkeeper::net {
namespace {

void put_address(nl_msg& message, int attribute, const IpAddress& address) {
  const auto bytes = address.bytes();
  nla_put(&message, attribute, static_cast<int>(bytes.size()), bytes.data());
}

MessagePtr build_message(const AddressOperation& operation) {
  const bool add = operation.kind == AddressOperation::Kind::add;
  const bool v4 = operation.prefix.address.is_v4();
  ifaddrmsg header{};
  header.ifa_family = v4 ? AF_INET : AF_INET6;
  header.ifa_prefixlen = operation.prefix.length;
  header.ifa_scope = operation.scope;
  header.ifa_index = static_cast<unsigned>(operation.link_index);
  // Duplicate address detection would keep an IPv6 address from use for a second; VRRP has decided already who has it.
  if (!v4) header.ifa_flags = IFA_F_NODAD;
  auto message =
      add ? new_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header) : new_message(RTM_DELADDR, 0, header);
  put_address(*message, IFA_LOCAL, operation.prefix.address);
  if (v4 || !add) put_address(*message, IFA_ADDRESS, operation.prefix.address);
  if (!add) return message;
  if (v4 && operation.broadcast) put_address(*message, IFA_BROADCAST, *operation.broadcast);
  if (v4 && !operation.label.empty()) nla_put_string(message.get(), IFA_LABEL, operation.label.c_str());
  nla_put_u8(message.get(), IFA_PROTO, address_protocol);
  return message;
}

bool counts_as_done(const AddressOperation& operation, int error) {
  if (operation.kind == AddressOperation::Kind::add) return error == EEXIST;
  return error == EADDRNOTAVAIL || error == ENODEV;
}

}  // namespace

Result<std::unique_ptr<AddressTable>> AddressTable::open() {
  auto socket = NetlinkSocket::open({});
  if (!socket) return std::unexpected(socket.error());
  // Interface 0 does not exist: with the right the kernel says ENODEV, without it EPERM.
  AddressOperation nothing{AddressOperation::Kind::remove, 0, "", {IpAddress::v4(0x7f000001), 32}, 0, "", {}};
  std::vector<MessagePtr> requests;
  requests.push_back(build_message(nothing));
  const auto answer = socket->transact(requests);
  if (!answer) return std::unexpected(answer.error());
  if (answer->front() == EPERM || answer->front() == EACCES) {
    return std::unexpected(missing_right("change addresses", "NET_ADMIN"));
  }
  return std::unique_ptr<AddressTable>(new AddressTable(std::move(*socket)));
}

std::vector<AddressFailure> AddressTable::apply(std::span<const AddressOperation> operations) {
  std::vector<MessagePtr> requests;
  requests.reserve(operations.size());
  for (const auto& operation : operations) requests.push_back(build_message(operation));
  const auto answers = socket_.transact(requests);
  std::vector<AddressFailure> failures;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& operation = operations[i];
    const int error = answers ? (*answers)[i] : 0;
    if (answers && (error == 0 || counts_as_done(operation, error))) continue;
    const bool add = operation.kind == AddressOperation::Kind::add;
    const std::string cause = answers ? std::strerror(error) : answers.error().message;
    failures.push_back({i, (add ? "cannot add " : "cannot remove ") + operation.prefix.to_string() +
                               (add ? " to " : " from ") + operation.interface + ": " + cause});
  }
  return failures;
}

}  // namespace vipkeeper::net
