#include "controller/kube/loop.h"

#include <utility>  // first: Boost 1.74's asio forgets it

#include <fmt/core.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace vipkeeper::kube {

namespace {

boost::asio::io_service& service() { return crossplat::threadpool::shared_instance().service(); }

// For threads that may outlive main(): whether the pool is still there. Never destroyed, for the same reason.
struct Door {
  std::mutex mutex;
  bool closed = false;
};
Door& door() {
  static auto* const one = new Door;
  return *one;
}

std::atomic<int> things_under_way{0};

// False: the process is ending.
bool post_if_open(std::function<void()> task) {
  const std::lock_guard lock(door().mutex);
  if (door().closed) return false;
  post(std::move(task));
  return true;
}

Result<std::vector<std::string>> addresses_of(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error == EAI_NONAME || error == EAI_ADDRFAMILY) {
    // A host that has loopback addresses only has none that count for AI_ADDRCONFIG.
    hints.ai_flags = 0;
    error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  }
  if (error != 0) {
    return failure(ErrorCode::unavailable, fmt::format("{} cannot be looked up: {}", host, ::gai_strerror(error)));
  }
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  ::freeaddrinfo(found);
  return addresses;
}

}  // namespace

void initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("SSL_CERT_FILE", "/dev/null", 1);
    ::setenv("SSL_CERT_DIR", "/nonexistent", 1);
    OPENSSL_init_ssl(0, nullptr);
    crossplat::threadpool::initialize_with_threads(1);
    // After the pool was made, so that it runs before the pool's end.
    std::atexit([] {
      const std::lock_guard lock(door().mutex);
      door().closed = true;
    });
  });
}

int leave(int code) {
  if (things_under_way > 0) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  return code;
}

std::shared_ptr<void> under_way() {
  ++things_under_way;
  return {nullptr, [](void*) { --things_under_way; }};
}

void post(std::function<void()> task) { boost::asio::post(service(), std::move(task)); }

void look_up(const std::string& host, std::function<void(Result<std::vector<std::string>>)> found) {
  // What `found` holds belongs to the pool thread: if that is no more, it is left alone and not destroyed here.
  auto* const told = new std::function<void(Result<std::vector<std::string>>)>(std::move(found));
  std::thread([host, told] {
    auto addresses = addresses_of(host);
    post_if_open([addresses = std::move(addresses), told] {
      (*told)(addresses);
      delete told;
    });
  }).detach();
}

struct Timer::State {
  boost::asio::steady_timer timer{service()};
  std::uint64_t generation = 0;
};

Timer::Timer() : state_(std::make_shared<State>()) {}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    stop();
    state_ = std::move(other.state_);
  }
  return *this;
}
Timer::~Timer() { stop(); }

void Timer::start(Duration delay, std::function<void()> task) {
  stop();
  state_->timer.expires_after(delay);
  // An expired timer's handler may be queued already when it is stopped; the generation tells.
  state_->timer.async_wait([state = state_, generation = state_->generation,
                            task = std::move(task)](const boost::system::error_code& error) {
    if (!error && state->generation == generation) task();
  });
}

void Timer::stop() {
  if (!state_) return;
  ++state_->generation;
  state_->timer.cancel();
}

}  // namespace vipkeeper::kube
