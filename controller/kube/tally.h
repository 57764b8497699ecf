#pragma once

#include <atomic>
#include <cstdint>

namespace vipkeeper::kube {

// A counter that one thread moves and any thread reads.
class Tally {
 public:
  void operator++() { value_.fetch_add(1, std::memory_order_relaxed); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

}  // namespace vipkeeper::kube
