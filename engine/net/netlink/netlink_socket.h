#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

struct nl_msg;
struct nl_sock;

namespace vipkeeper::net {

struct MessageDeleter {
  void operator()(nl_msg* message) const;
};
// A libnl message under construction.
using MessagePtr = std::unique_ptr<nl_msg, MessageDeleter>;

// A new request of `type` whose body begins with `header` (a struct ifaddrmsg, for instance).
template <class Header>
MessagePtr new_message(int type, int flags, const Header& header);
MessagePtr new_message(int type, int flags, const void* header, std::size_t size);
template <class Header>
MessagePtr new_message(int type, int flags, const Header& header) {
  return new_message(type, flags, &header, sizeof header);
}

// A netlink socket, of rtnetlink unless said otherwise: opened and bound by libnl, read and written here, so that many
// requests go into one send and no callback stands between a message and who asked for it. Never blocks.
class NetlinkSocket {
 public:
  using Handler = std::function<void(nlmsghdr&)>;

  // `groups`: of the protocol, RTNLGRP_* for instance, to subscribe to.
  static Result<NetlinkSocket> open(std::span<const int> groups, int protocol = NETLINK_ROUTE);
  NetlinkSocket(NetlinkSocket&&) noexcept = default;
  NetlinkSocket& operator=(NetlinkSocket&&) noexcept = default;

  [[nodiscard]] int fd() const;

  // Every message that waits. Error unavailable: the kernel had to drop some (ENOBUFS), so what is known is stale.
  Result<void> receive(const Handler& handler);

  // Sends one dump request (error not_found: the kernel knows none of what it names) and hands each answer to `handler`
  // until NLMSG_DONE. Repeats the dump as long as the kernel says that it changed under way (NLM_F_DUMP_INTR);
  // `restart` is called before each repetition.
  Result<void> dump(nl_msg& request, const Handler& handler, const std::function<void()>& restart);

  // Sends the requests together and returns one errno each (0: done), in order. The kernel has done all of them when
  // this returns (rtnetlink works inside the send).
  Result<std::vector<int>> transact(std::span<const MessagePtr> requests);

 private:
  struct SocketDeleter {
    void operator()(nl_sock* socket) const;
  };
  explicit NetlinkSocket(std::unique_ptr<nl_sock, SocketDeleter> socket) : socket_(std::move(socket)) {}
  Result<void> send(std::span<const std::byte> bytes);
  Result<void> read_answers(const std::function<bool(nlmsghdr&)>& handler);

  std::unique_ptr<nl_sock, SocketDeleter> socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace vipkeeper::net
