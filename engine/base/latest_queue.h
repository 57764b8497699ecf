#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace vipkeeper {

// A one-way queue of depth one between two threads. A writer never waits; a value the reader has not taken yet is
// merged with the newer one by `merge(older, newer)`, so a slow reader holds one element however fast the writer is.
// After close() nothing more is delivered. `wake` is called, outside the lock, whenever a value comes to lie in the
// empty queue or the queue is closed (the reader's loop writes an eventfd there).
template <class T>
class LatestQueue {
 public:
  using Merge = std::function<T(T older, T newer)>;
  using Wake = std::function<void()>;

  // Without `merge` the newer value simply wins.
  explicit LatestQueue(
      Wake wake, Merge merge = [](T, T newer) { return newer; })
      : wake_(std::move(wake)), merge_(std::move(merge)) {}

  // False: the queue is closed and the value was dropped.
  bool put(T value) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      was_empty = !slot_.has_value();
      slot_ = was_empty ? std::move(value) : merge_(std::move(*slot_), std::move(value));
    }
    if (was_empty) wake_();
    return true;
  }

  std::optional<T> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(slot_, std::nullopt);
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    wake_();
  }

  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<T> slot_;
  bool closed_ = false;
  Wake wake_;
  Merge merge_;
};

}  // namespace vipkeeper
