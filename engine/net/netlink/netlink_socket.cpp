// rtnetlink as the rest of net uses it. Two kernel facts shape it:
// - Requests are worked off inside sendmsg(), all that one buffer holds, each on its own: a failing one does not stop
// the
//   next. So a batch costs one system call, and when it returns the kernel's state is final.
// - A failed request is answered with NLMSG_ERROR whether an acknowledgement was asked for or not, a good one only if
// it
//   was. So only the last request of a batch asks, and whatever is not named in an answer went well.

#include "engine/net/netlink/netlink_socket.h"

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace vipkeeper::net {
namespace {

// Answers are at most this large: the kernel fills what the reader offers, up to 32 KiB.
constexpr std::size_t answer_size = 64 * 1024;
// A failing batch must not overrun the receive buffer with its answers.
constexpr std::size_t batch_size = 128;
constexpr int notification_buffer = 4 * 1024 * 1024;
constexpr int answer_timeout_ms = 2000;

ErrorCode code_of(int number) {
  if (number == EPERM || number == EACCES) return ErrorCode::permission;
  // nfnetlink says so of a subsystem that is not loaded.
  if (number == EINVAL || number == EOPNOTSUPP) return ErrorCode::unsupported;
  return number == ENOENT ? ErrorCode::not_found : ErrorCode::io;
}

Error netlink_error(const char* what, int number) {
  return {code_of(number), std::string(what) + ": " + std::strerror(number)};
}

// One buffer a thread: netlink is read by the VRRP thread only, but for one-shot readers elsewhere.
std::vector<std::byte>& answer_buffer() {
  thread_local std::vector<std::byte> buffer(answer_size);
  return buffer;
}

template <class Handler>
bool for_each_message(std::span<std::byte> bytes, const Handler& handler) {
  int remaining = static_cast<int>(bytes.size());
  auto* message = static_cast<nlmsghdr*>(static_cast<void*>(bytes.data()));
  while (nlmsg_ok(message, remaining)) {
    if (!handler(*message)) return false;
    message = nlmsg_next(message, &remaining);
  }
  return true;
}

}  // namespace

void MessageDeleter::operator()(nl_msg* message) const { nlmsg_free(message); }

MessagePtr new_message(int type, int flags, const void* header, std::size_t size) {
  MessagePtr message(nlmsg_alloc_simple(type, flags));
  if (message) nlmsg_append(message.get(), const_cast<void*>(header), size, NLMSG_ALIGNTO);
  return message;
}

void NetlinkSocket::SocketDeleter::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<NetlinkSocket> NetlinkSocket::open(std::span<const int> groups, int protocol) {
  std::unique_ptr<nl_sock, SocketDeleter> socket(nl_socket_alloc());
  if (!socket) return failure(ErrorCode::io, "netlink: out of memory");
  if (const int error = nl_connect(socket.get(), protocol); error < 0) {
    return failure(ErrorCode::io, std::string("netlink: connect: ") + nl_geterror(error));
  }
  for (const int group : groups) {
    if (const int error = nl_socket_add_membership(socket.get(), group); error < 0) {
      return failure(ErrorCode::io, std::string("netlink: subscribe: ") + nl_geterror(error));
    }
  }
  const int fd = nl_socket_get_fd(socket.get());
  nl_socket_set_nonblocking(socket.get());
  if (!groups.empty()) {
    // Past the system's limit if we may; it is a limit, not memory in use.
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &notification_buffer, sizeof notification_buffer) != 0) {
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &notification_buffer, sizeof notification_buffer);
    }
  }
  const int on = 1;
  ::setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return NetlinkSocket(std::move(socket));
}

int NetlinkSocket::fd() const { return nl_socket_get_fd(socket_.get()); }

Result<void> NetlinkSocket::receive(const Handler& handler) {
  auto& buffer = answer_buffer();
  while (true) {
    const auto size = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {};
      if (errno == ENOBUFS) return failure(ErrorCode::unavailable, "netlink: notifications were lost");
      return std::unexpected(netlink_error("netlink: receive", errno));
    }
    // Cut to the buffer: what is missing would be taken for absent.
    if (static_cast<std::size_t>(size) > buffer.size()) {
      return failure(ErrorCode::unavailable,
                     "netlink: a notification of " + std::to_string(size) + " bytes is too long");
    }
    for_each_message(std::span(buffer).first(static_cast<std::size_t>(size)), [&](nlmsghdr& message) {
      handler(message);
      return true;
    });
  }
}

Result<void> NetlinkSocket::send(std::span<const std::byte> bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (::sendto(fd(), bytes.data(), bytes.size(), 0, static_cast<const sockaddr*>(static_cast<void*>(&kernel)),
                  sizeof kernel) < 0) {
    if (errno != EINTR) return std::unexpected(netlink_error("netlink: send", errno));
  }
  return {};
}

// Reads until `handler` returns false.
Result<void> NetlinkSocket::read_answers(const std::function<bool(nlmsghdr&)>& handler) {
  auto& buffer = answer_buffer();
  while (true) {
    const auto size = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size > static_cast<ssize_t>(buffer.size())) {
      return failure(ErrorCode::unavailable, "netlink: an answer of " + std::to_string(size) + " bytes is too long");
    }
    if (size >= 0) {
      if (!for_each_message(std::span(buffer).first(static_cast<std::size_t>(size)), handler)) return {};
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return std::unexpected(netlink_error("netlink: receive", errno));
    pollfd waiting{fd(), POLLIN, 0};
    if (::poll(&waiting, 1, answer_timeout_ms) == 0) {
      return failure(ErrorCode::unavailable, "netlink: the kernel does not answer");
    }
  }
}

Result<void> NetlinkSocket::dump(nl_msg& request, const Handler& handler, const std::function<void()>& restart) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    nlmsghdr* header = nlmsg_hdr(&request);
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++sequence_;
    header->nlmsg_pid = nl_socket_get_local_port(socket_.get());
    const auto bytes =
        std::as_bytes(std::span(static_cast<const char*>(static_cast<void*>(header)), header->nlmsg_len));
    if (auto sent = send(bytes); !sent) return sent;
    restart();
    bool interrupted = false;
    int error = 0;
    auto read = read_answers([&](nlmsghdr& message) {
      if (message.nlmsg_seq != sequence_) return true;
      if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (message.nlmsg_type == NLMSG_DONE) return false;
      if (message.nlmsg_type == NLMSG_ERROR) {
        error = -static_cast<const nlmsgerr*>(nlmsg_data(&message))->error;
        return false;
      }
      handler(message);
      return true;
    });
    if (!read) return read;
    if (error != 0) return std::unexpected(netlink_error("netlink: dump", error));
    if (!interrupted) return {};
  }
  return failure(ErrorCode::unavailable, "netlink: the kernel's state changes faster than it can be read");
}

Result<std::vector<int>> NetlinkSocket::transact(std::span<const MessagePtr> requests) {
  std::vector<int> results(requests.size(), 0);
  std::vector<std::byte> bytes;
  for (std::size_t begin = 0; begin < requests.size(); begin += batch_size) {
    const auto batch = requests.subspan(begin, std::min(batch_size, requests.size() - begin));
    const std::uint32_t first = sequence_ + 1;
    bytes.clear();
    for (const auto& request : batch) {
      nlmsghdr* header = nlmsg_hdr(request.get());
      header->nlmsg_flags |= NLM_F_REQUEST;
      if (&request == &batch.back()) header->nlmsg_flags |= NLM_F_ACK;
      header->nlmsg_seq = ++sequence_;
      header->nlmsg_pid = nl_socket_get_local_port(socket_.get());
      const auto view =
          std::as_bytes(std::span(static_cast<const char*>(static_cast<void*>(header)), header->nlmsg_len));
      bytes.insert(bytes.end(), view.begin(), view.end());
      bytes.resize(NLMSG_ALIGN(bytes.size()));
    }
    if (auto sent = send(bytes); !sent) return std::unexpected(sent.error());
    auto read = read_answers([&](nlmsghdr& message) {
      if (message.nlmsg_type != NLMSG_ERROR || message.nlmsg_seq < first || message.nlmsg_seq > sequence_) return true;
      const int error = -static_cast<const nlmsgerr*>(nlmsg_data(&message))->error;
      results[begin + (message.nlmsg_seq - first)] = error;
      return message.nlmsg_seq != sequence_;
    });
    if (!read) return std::unexpected(read.error());
  }
  return results;
}

}  // namespace vipkeeper::net
