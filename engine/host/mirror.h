#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/host/network.h"

namespace vipkeeper::host {

// What is believed of the host's network: kept by the kernel's notifications, and set right by a full reading whenever
// some of them were lost, and now and then besides.
//
// A notification is never believed over a reading that is younger. Whoever learns that notifications were lost drops
// those still queued (they are older than the loss is), calls begin_reading(), and only then reads. What the kernel
// says from then on is worked in at once, and once more on top of the reading, since nobody can tell which of it came
// before the reading and which after: the last word on a link or address is in either case the newest.
class Mirror {
 public:
  explicit Mirror(NetworkState first) : state_(std::move(first)) {}

  [[nodiscard]] const NetworkState& state() const { return state_; }
  // The changes that these make.
  NetworkChanges apply(std::span<const Notification> said);

  // The number of the reading that is wanted now; one that was wanted before is not any more.
  std::uint64_t begin_reading();
  [[nodiscard]] bool reading() const { return reading_; }
  // The reading of that number arrived. nullopt: it is not to be used (another was begun since, or so much was said
  // meanwhile that it is worth nothing); where reading() is false then, one has to be begun.
  std::optional<NetworkChanges> finish_reading(std::uint64_t number, NetworkState fresh);
  // It could not be made: what is known stands, and somebody begins another later.
  void give_up_reading(std::uint64_t number);

 private:
  NetworkState state_;
  std::uint64_t number_ = 0;
  bool reading_ = false;
  std::vector<Notification> since_;  // while reading, what was said since it was begun
};

}  // namespace vipkeeper::host
