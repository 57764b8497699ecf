#include "controller/kube/server_gate.h"

#include <utility>

namespace vipkeeper::kube {

namespace {

constexpr Duration probe_within = std::chrono::seconds(5);
constexpr std::size_t most_probes_under_way = 3;
constexpr Duration time_to_get_ready = std::chrono::seconds(10);

}  // namespace

ServerGate::ServerGate(Transport& transport, Options options, std::uint32_t seed, Listener listener)
    : transport_(transport), options_(options), random_(seed), listener_(std::move(listener)) {}

void ServerGate::close() {
  if (!open_) return;
  open_ = false;
  ++outages_;
  closed_at_ = Clock::now();
  first_answer_.reset();
  transport_.reset();
  schedule();
}

void ServerGate::schedule() {
  std::uniform_int_distribution<Duration::rep> delay(options_.probe_least.count(), options_.probe_most.count());
  timer_.start(Duration(delay(random_)), [this] { probe(); });
}

void ServerGate::probe() {
  ++probes_;
  schedule();
  // Packets may be dropped without a word: a probe may take long, and the next one does not wait for it.
  if (under_way_.size() == most_probes_under_way) {
    under_way_.front()->cancel();
    under_way_.erase(under_way_.begin());
    transport_.reset();
  }
  auto exchange = transport_.probe("/readyz", probe_within, [this](const Event& event) {
    if (const auto* responded = std::get_if<Responded>(&event)) answered(responded->status);
    const auto* ended = std::get_if<Ended>(&event);
    if (ended != nullptr && ended->failure && !open_) listener_.probe_failed(*ended->failure);
  });
  under_way_.push_back(std::move(exchange));
}

void ServerGate::answered(int status) {
  if (open_) return;
  const TimePoint now = Clock::now();
  if (!first_answer_) first_answer_ = now;
  // 401 and 403 are answers: anonymous or unprivileged, but from a server that decides.
  const bool ready = status < 500 && status != 429;
  if (ready || now - *first_answer_ >= time_to_get_ready) open();
}

void ServerGate::open() {
  open_ = true;
  timer_.stop();
  for (const auto& exchange : std::exchange(under_way_, {})) exchange->cancel();
  listener_.opened(Clock::now() - closed_at_);
}

void ServerGate::stop() {
  open_ = true;
  timer_.stop();
  for (const auto& exchange : std::exchange(under_way_, {})) exchange->cancel();
}

}  // namespace vipkeeper::kube
