#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/base/clock.h"
#include "engine/ipvs/kernel_table.h"

namespace vipkeeper::run {

// What a thread is at that may take long, for those who find that it does not answer. One thread says it, any may ask.
class Activity {
 public:
  struct Doing {
    std::string what;
    WallTime since;
  };
  // Says it for as long as it lives.
  class Step {
   public:
    Step(Activity& activity, std::string what) : activity_(activity) { activity_.begin(std::move(what)); }
    ~Step() { activity_.end(); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    Activity& activity_;
  };

  // Nullopt: nothing that takes long.
  [[nodiscard]] std::optional<Doing> now() const;

 private:
  void begin(std::string what);
  void end();

  mutable std::mutex mutex_;  // guards the next
  std::optional<Doing> doing_;
};

// The table, saying what it is asked for as long as it has not answered.
std::unique_ptr<ipvs::KernelTable> watched(std::unique_ptr<ipvs::KernelTable> table, Activity& activity);

}  // namespace vipkeeper::run
