#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <variant>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "engine/host/address_plan.h"
#include "engine/host/table.h"

namespace vipkeeper::run {

// The thread that changes and reads the host's addresses. The kernel does both under its lock over all interfaces,
// which others hold for seconds (a namespace's end, a driver's reset): here somebody waits for it who owes nobody an
// ADVERTISEMENT. What is given to it is done in order; what became of it goes to `done`, on this thread.
class HostWorker {
 public:
  struct Applied {
    std::vector<host::Answer> answers;
  };
  struct Read {
    std::uint64_t number = 0;
    Result<host::NetworkState> state;
  };
  using Done = std::variant<Applied, Read>;
  // The ownership record: an address is claimed before it is added. May be empty.
  struct Record {
    std::function<void(std::span<const host::OwnedAddress>)> claim, release;
  };

  HostWorker(host::HostTable& table, Record record, std::function<void(Done)> done);
  ~HostWorker() { stop(); }
  HostWorker(const HostWorker&) = delete;
  HostWorker& operator=(const HostWorker&) = delete;

  // Any thread; never waits.
  void apply(host::AddressPiece piece) { put(std::move(piece)); }
  // A reading that was not begun yet is not needed any more: this one is younger.
  void read(std::uint64_t number);
  // Since when it has been at the work under way; nullopt: it is idle. Any thread.
  [[nodiscard]] std::optional<TimePoint> busy_since() const;
  // What is under way is finished, all else dropped.
  void stop();

 private:
  using Work = std::variant<host::AddressPiece, std::uint64_t>;
  void put(Work work);
  void run();
  Done work(const Work& given);

  host::HostTable& table_;
  Record record_;
  std::function<void(Done)> done_;
  mutable std::mutex mutex_;  // guards the three below
  std::deque<Work> queue_;
  std::optional<TimePoint> busy_since_;
  bool stopped_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace vipkeeper::run
