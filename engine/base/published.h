#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace vipkeeper {

// The newest immutable value of one thread, readable by all others: the lock is held for one pointer copy.
template <class T>
class Published {
 public:
  void publish(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);
  }
  // Null until something was published.
  [[nodiscard]] std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace vipkeeper
