#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/vrrp/virtual_router.h"

// What a virtual router watches (track_interface, track_script) and what that means for it: a fault, or another
// effective priority. Pure: the loop says what it saw and hands the resulting events to the VirtualRouter.
namespace vipkeeper::vrrp {

enum class Health : std::uint8_t { unknown, ok, failed };

enum class TrackedKind : std::uint8_t { interface, script };

// weight 0: failed is a fault of the router (unknown keeps it from starting). Positive: added to the priority while ok.
// Negative: subtracted while failed. `reverse` swaps ok and failed. Outside -253..253 the weight is cut to that.
struct TrackedItem {
  TrackedKind kind = TrackedKind::interface;
  std::string name;
  int weight = 0;
  bool reverse = false;
  bool operator==(const TrackedItem&) const = default;
};

// What the tracked items mean together.
struct Assessment {
  bool spoken = false;               // every unweighted item has been known: the router may start. Never false again
  std::optional<FaultRaised> fault;  // the first unweighted item that failed
  std::uint8_t priority = 0;         // effective: base plus weights, 1..254; 255 stays 255
  bool operator==(const Assessment&) const = default;
};

// The tracked items of one virtual router and their last known health.
class EffectivePriority {
 public:
  EffectivePriority(std::uint8_t base, std::vector<TrackedItem> items);

  // Reload: items that were there before (same kind and name) keep their health.
  void configure(std::uint8_t base, std::vector<TrackedItem> items);
  // Every item of that kind and name; none: nothing happens.
  void set(TrackedKind kind, std::string_view name, Health health);
  [[nodiscard]] Assessment assess() const;

 private:
  struct Watched {
    TrackedItem item;
    Health health = Health::unknown;  // as seen, before `reverse`
  };
  void note_spoken();

  std::uint8_t base_;
  std::vector<Watched> watched_;
  bool spoken_ = false;
};

// The events that bring a VirtualRouter from what `before` told it to `after`: the priority first, then Startup,
// FaultRaised or FaultCleared, these only once the items have spoken. A new router starts from
// Assessment{.priority = its configured priority}; after a reload the loop hands over ParametersChanged, and then
// compares with an assessment whose priority is the router's effective_priority().
std::vector<Event> changes(const Assessment& before, const Assessment& after);

// Turns single results of a check script into ok or failed: `rise` successes in a row make it ok, `fall` failures in a
// row make it failed. At the start one result is enough either way, or, with `init_fail`, it starts as failed.
class ScriptVerdict {
 public:
  ScriptVerdict(unsigned rise, unsigned fall, bool init_fail = false);

  // True if the health changed by this result.
  bool record(bool success);
  [[nodiscard]] Health health() const { return health_; }
  // Reload: the health stays, counting starts over.
  void configure(unsigned rise, unsigned fall);

 private:
  unsigned rise_;
  unsigned fall_;
  Health health_;
  unsigned against_ = 0;  // results in a row that contradict health_
};

}  // namespace vipkeeper::vrrp
