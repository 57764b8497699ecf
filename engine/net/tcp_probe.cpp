#include "engine/net/tcp_probe.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vipkeeper::net {
namespace {

// sockaddr_in or sockaddr_in6 of an address and port.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  SocketAddress(const IpAddress& address, std::uint16_t port) {
    if (address.is_v4()) {
      sockaddr_in v4{};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      std::memcpy(&v4.sin_addr, address.bytes().data(), sizeof v4.sin_addr);
      std::memcpy(&storage, &v4, length = sizeof v4);
    } else {
      sockaddr_in6 v6{};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      std::memcpy(&v6.sin6_addr, address.bytes().data(), sizeof v6.sin6_addr);
      std::memcpy(&storage, &v6, length = sizeof v6);
    }
  }
  [[nodiscard]] const sockaddr* get() const { return static_cast<const sockaddr*>(static_cast<const void*>(&storage)); }
};

// Failures of this host that say nothing about the other one.
bool is_local(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<TcpProber>> TcpProber::create(EventLoop& loop, OnOutcome on_outcome) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return failure(ErrorCode::io, std::string("epoll_create1: ") + std::strerror(errno));
  const int fd = epoll.get();
  std::unique_ptr<TcpProber> prober(new TcpProber(loop, std::move(on_outcome), std::move(epoll)));
  if (auto watched = loop.watch(fd, [self = prober.get()] { self->handle_events(); }); !watched)
    return std::unexpected(watched.error());
  return prober;
}

TcpProber::TcpProber(EventLoop& loop, OnOutcome on_outcome, UniqueFd epoll)
    : loop_(loop),
      on_outcome_(std::move(on_outcome)),
      epoll_(std::move(epoll)),
      timeout_(loop, [this] { handle_timeouts(); }),
      report_(loop, [this] { report_ended(); }) {}

TcpProber::~TcpProber() { loop_.unwatch(epoll_.get()); }

void TcpProber::start(const check::Probe& probe) {
  UniqueFd fd(socket(probe.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return end_at_once(probe, errno);
  const linger reset{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const SocketAddress address(probe.address, probe.port);
  // 0: the other end is this host and has accepted already.
  const int error = connect(fd.get(), address.get(), address.length) == 0 ? 0 : errno;
  if (error != EINPROGRESS) return end_at_once(probe, error);
  const int number = fd.get();
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.fd = number;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, number, &event) != 0) return end_at_once(probe, errno);
  const TimePoint now = Clock::now();
  deadlines_.emplace(now + probe.timeout, number);
  attempts_.emplace(number, Attempt{std::move(fd), probe.id, now, now + probe.timeout});
  arm();
}

void TcpProber::end_at_once(const check::Probe& probe, int error) {
  auto kind = check::Outcome::Kind::connected;
  if (error != 0) kind = is_local(error) ? check::Outcome::Kind::local : check::Outcome::Kind::refused;
  ended_.emplace_back(probe.id, check::Outcome{kind, error, Duration::zero()});
  if (!report_.armed()) report_.arm(loop_.now());
}

void TcpProber::report_ended() {
  // The callback may start probes, which may end at once.
  for (const auto& [id, outcome] : std::exchange(ended_, {})) on_outcome_(id, outcome);
}

void TcpProber::end(int fd, check::Outcome::Kind kind, int error) {
  auto node = attempts_.extract(fd);
  const Attempt& attempt = node.mapped();
  deadlines_.erase({attempt.deadline, fd});
  const check::Outcome outcome{kind, error, Clock::now() - attempt.started};
  const check::ProbeId id = attempt.id;
  node.mapped().fd.reset();  // before the callback starts another: descriptors are what is scarce
  on_outcome_(id, outcome);
}

void TcpProber::handle_events() {
  std::array<epoll_event, 128> events{};
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (!attempts_.contains(fd)) continue;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    auto kind = check::Outcome::Kind::connected;
    if (error != 0) kind = is_local(error) ? check::Outcome::Kind::local : check::Outcome::Kind::refused;
    if (error == ETIMEDOUT) kind = check::Outcome::Kind::timed_out;
    end(fd, kind, error);
  }
  arm();
}

void TcpProber::handle_timeouts() {
  const TimePoint now = Clock::now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now)
    end(deadlines_.begin()->second, check::Outcome::Kind::timed_out, 0);
  arm();
}

void TcpProber::arm() {
  if (deadlines_.empty())
    timeout_.disarm();
  else if (timeout_.deadline() != deadlines_.begin()->first)
    timeout_.arm(deadlines_.begin()->first);
}

}  // namespace vipkeeper::net
