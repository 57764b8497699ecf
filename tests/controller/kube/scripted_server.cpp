#include "tests/controller/kube/scripted_server.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>
#include <utility>

namespace vipkeeper::test {

std::string HttpRequest::parameter(const std::string& name) const {
  const std::size_t query = target.find('?');
  std::string_view rest = query == std::string::npos ? std::string_view() : std::string_view(target).substr(query + 1);
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    if (one.starts_with(name + "=")) return std::string(one.substr(name.size() + 1));
  }
  return {};
}

std::string HttpRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

void ScriptedServer::Connection::send(std::string_view raw) {
  while (!raw.empty() && !failed_) {
    const auto sent = ssl_ != nullptr ? ::SSL_write(ssl_, raw.data(), static_cast<int>(raw.size()))
                                      : ::send(fd_, raw.data(), raw.size(), MSG_NOSIGNAL);
    failed_ = sent <= 0;
    if (!failed_) raw.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void ScriptedServer::Connection::answer(int status, std::string_view body, std::string_view headers) {
  send(fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}", status,
                   body.size(), headers, body));
}

void ScriptedServer::Connection::begin(int status) {
  send(fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", status));
}

void ScriptedServer::Connection::chunk(std::string_view bytes) {
  send(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
}

void ScriptedServer::Connection::end() { send("0\r\n\r\n"); }

void ScriptedServer::Connection::close(bool reset) {
  closed_ = true;
  if (!reset) return;
  const linger abort{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

void ScriptedServer::Connection::vanish() {
  // What the peer has not acknowledged would be sent again, and tell it that somebody is there.
  for (int waiting = 1; waiting > 0 && ::ioctl(fd_, SIOCOUTQ, &waiting) == 0;) std::this_thread::yield();
  sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &nothing};
  failed_ = ::setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0;
}

void ScriptedServer::Connection::tunnel(std::uint16_t port) {
  closed_ = true;
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool connected = ::connect(other, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  send(connected ? "HTTP/1.1 200 Connection established\r\n\r\n" : "HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n");
  std::array<pollfd, 2> ends{{{fd_, POLLIN, 0}, {other, POLLIN, 0}}};
  std::array<char, 65536> block{};
  for (bool open = connected; open && ::poll(ends.data(), ends.size(), -1) > 0;) {
    for (std::size_t i = 0; i < 2 && open; ++i) {
      if (ends[i].revents == 0) continue;
      const auto got = ::recv(ends[i].fd, block.data(), block.size(), 0);
      open = got > 0 && ::send(ends[1 - i].fd, block.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
    }
  }
  ::close(other);
}

bool ScriptedServer::Connection::is_gone(std::chrono::milliseconds limit) {
  pollfd peer{fd_, POLLIN | POLLRDHUP, 0};
  return failed_ || (::poll(&peer, 1, static_cast<int>(limit.count())) > 0);
}

ScriptedServer::ScriptedServer(Handler handler, SSL_CTX* tls, std::uint16_t port, bool ipv6)
    : handler_(std::move(handler)), tls_(tls) {
  // OpenSSL writes without MSG_NOSIGNAL.
  ::signal(SIGPIPE, SIG_IGN);
  listener_ = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage address{};
  socklen_t size = 0;
  if (ipv6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    v6->sin6_family = AF_INET6;
    v6->sin6_addr = IN6ADDR_LOOPBACK_INIT;
    v6->sin6_port = htons(port);
    size = sizeof *v6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4->sin_port = htons(port);
    size = sizeof *v4;
  }
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0) {
    throw std::runtime_error("the test's server cannot listen on loopback");
  }
  size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(ipv6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                     : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() { stop(); }

void ScriptedServer::stop() {
  if (stopping_.exchange(true)) return;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (Session& session : sessions_) {
      if (!session.done) ::shutdown(session.fd, SHUT_RDWR);
    }
  }
  for (Session& session : sessions_) session.thread.join();
}

std::vector<HttpRequest> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::accept_all() {
  while (true) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::size_t number = ++connections_;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(mutex_);
    Session& session = sessions_.emplace_back();
    session.fd = fd;
    session.thread = std::thread([this, &session, number] {
      serve(session.fd, number);
      const std::lock_guard end(mutex_);
      session.done = true;
      ::close(session.fd);
    });
  }
}

void ScriptedServer::serve(int fd, std::size_t number) {
  SSL* ssl = nullptr;
  if (tls_ != nullptr) {
    ssl = ::SSL_new(tls_);
    ::SSL_set_fd(ssl, fd);
    if (::SSL_accept(ssl) != 1) {
      ::SSL_free(ssl);
      return;
    }
  }
  Connection connection(fd, ssl);
  std::string buffer;
  HttpRequest request;
  while (!stopping_ && !connection.closed_ && read_request(connection, buffer, request)) {
    request.connection = number;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    handler_(connection, request);
  }
  if (ssl != nullptr) ::SSL_free(ssl);
}

bool ScriptedServer::read_request(Connection& connection, std::string& buffer, HttpRequest& request) {
  const auto read_more = [&] {
    std::array<char, 4096> block{};
    const auto got = connection.ssl_ != nullptr
                         ? ::SSL_read(connection.ssl_, block.data(), static_cast<int>(block.size()))
                         : ::recv(connection.fd_, block.data(), block.size(), 0);
    if (got > 0) buffer.append(block.data(), static_cast<std::size_t>(got));
    return got > 0;
  };
  std::size_t end = std::string::npos;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return false;
  }
  std::string_view head = std::string_view(buffer).substr(0, end + 2);
  const std::string_view first = head.substr(0, head.find("\r\n"));
  request = {};
  request.method = first.substr(0, first.find(' '));
  const std::size_t target = request.method.size() + 1;
  request.target = first.substr(target, first.find(' ', target) - target);
  head.remove_prefix(first.size() + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(line.size() + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    request.headers[name] = value;
  }
  buffer.erase(0, end + 4);
  const std::string length = request.header("content-length");
  const std::size_t size = length.empty() ? 0 : std::stoul(length);
  while (buffer.size() < size) {
    if (!read_more()) return false;
  }
  request.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return true;
}

}  // namespace vipkeeper::test
