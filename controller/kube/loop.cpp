#include "controller/kube/loop.h"

#include <utility>  // first: Boost 1.74's asio forgets it

#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace vipkeeper::kube {

namespace {

boost::asio::io_service& service() { return crossplat::threadpool::shared_instance().service(); }

}  // namespace

void initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("SSL_CERT_FILE", "/dev/null", 1);
    ::setenv("SSL_CERT_DIR", "/nonexistent", 1);
    OPENSSL_init_ssl(0, nullptr);
    crossplat::threadpool::initialize_with_threads(1);
  });
}

void post(std::function<void()> task) { boost::asio::post(service(), std::move(task)); }

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
