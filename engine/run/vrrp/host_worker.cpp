#include "engine/run/vrrp/host_worker.h"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace vipkeeper::run {

HostWorker::HostWorker(host::HostTable& table, Record record, std::function<void(Done)> done)
    : table_(table), record_(std::move(record)), done_(std::move(done)) {
  // Signals are for main().
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void HostWorker::put(Work work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void HostWorker::read(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_, [](const Work& work) { return std::holds_alternative<std::uint64_t>(work); });
  }
  put(number);
}

std::optional<TimePoint> HostWorker::busy_since() const {
  const std::lock_guard lock(mutex_);
  return busy_since_;
}

void HostWorker::run() {
  pthread_setname_np(pthread_self(), "host");
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
    if (stopped_) return;
    const Work next = std::move(queue_.front());
    queue_.pop_front();
    busy_since_ = Clock::now();
    lock.unlock();
    done_(work(next));
    lock.lock();
    busy_since_.reset();
  }
}

HostWorker::Done HostWorker::work(const Work& given) {
  if (const auto* number = std::get_if<std::uint64_t>(&given)) return Read{*number, table_.read()};
  const auto& piece = std::get<host::AddressPiece>(given);
  // What was let go of may be what is claimed again.
  if (record_.release && !piece.let_go.empty()) record_.release(piece.let_go);
  std::vector<host::OwnedAddress> claims;
  for (const auto& operation : piece.operations) {
    if (const auto* add = std::get_if<host::AddAddress>(&operation)) {
      claims.push_back({add->address.prefix, add->address.interface});
    }
  }
  if (record_.claim && !claims.empty()) record_.claim(claims);
  if (piece.operations.empty()) return Applied{};
  return Applied{table_.apply(piece.operations)};
}

void HostWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true) && !thread_.joinable()) return;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace vipkeeper::run
