#include "engine/vrrp/tracking.h"

#include <algorithm>
#include <utility>

namespace vipkeeper::vrrp {
namespace {

constexpr int greatest_weight = 253;

Health reversed(Health health) {
  if (health == Health::ok) return Health::failed;
  if (health == Health::failed) return Health::ok;
  return health;
}

FaultRaised fault_of(const TrackedItem& item) {
  if (item.kind == TrackedKind::interface) {
    return {"interface " + item.name + (item.reverse ? " is up" : " is down")};
  }
  return {"script " + item.name + (item.reverse ? " succeeded" : " failed"), item.name};
}

}  // namespace

EffectivePriority::EffectivePriority(std::uint8_t base, std::vector<TrackedItem> items) : base_(base) {
  configure(base, std::move(items));
}

void EffectivePriority::configure(std::uint8_t base, std::vector<TrackedItem> items) {
  base_ = base;
  const std::vector<Watched> before = std::exchange(watched_, {});
  for (TrackedItem& item : items) {
    const auto known = std::ranges::find_if(before, [&](const Watched& watched) {
      return watched.item.kind == item.kind && watched.item.name == item.name;
    });
    watched_.push_back({std::move(item), known == before.end() ? Health::unknown : known->health});
  }
  note_spoken();
}

void EffectivePriority::set(TrackedKind kind, std::string_view name, Health health) {
  for (Watched& watched : watched_) {
    if (watched.item.kind == kind && watched.item.name == name) watched.health = health;
  }
  note_spoken();
}

void EffectivePriority::note_spoken() {
  spoken_ = spoken_ || std::ranges::none_of(watched_, [](const Watched& watched) {
              return watched.item.weight == 0 && watched.health == Health::unknown;
            });
}

Assessment EffectivePriority::assess() const {
  Assessment result{.spoken = spoken_, .fault = std::nullopt, .priority = base_};
  int sum = base_;
  for (const auto& [item, seen] : watched_) {
    const Health health = item.reverse ? reversed(seen) : seen;
    const int weight = std::clamp(item.weight, -greatest_weight, greatest_weight);
    if (weight == 0 && health == Health::failed && !result.fault) result.fault = fault_of(item);
    if (weight > 0 && health == Health::ok) sum += weight;
    if (weight < 0 && health == Health::failed) sum += weight;
  }
  if (base_ != 255) result.priority = static_cast<std::uint8_t>(std::clamp(sum, 1, 254));
  return result;
}

std::vector<Event> changes(const Assessment& before, const Assessment& after) {
  std::vector<Event> events;
  if (before.priority != after.priority) events.emplace_back(EffectivePriorityChanged{after.priority});
  if (!after.spoken) return events;
  if (after.fault && !(before.spoken && before.fault)) events.emplace_back(*after.fault);
  if (!after.fault && !before.spoken) events.emplace_back(Startup{});
  if (!after.fault && before.spoken && before.fault) events.emplace_back(FaultCleared{});
  return events;
}

ScriptVerdict::ScriptVerdict(unsigned rise, unsigned fall, bool init_fail)
    : rise_(std::max(rise, 1U)), fall_(std::max(fall, 1U)), health_(init_fail ? Health::failed : Health::unknown) {}

bool ScriptVerdict::record(bool success) {
  const Health result = success ? Health::ok : Health::failed;
  if (result == health_) {
    against_ = 0;
    return false;
  }
  ++against_;
  if (health_ != Health::unknown && against_ < (success ? rise_ : fall_)) return false;
  health_ = result;
  against_ = 0;
  return true;
}

void ScriptVerdict::configure(unsigned rise, unsigned fall) {
  rise_ = std::max(rise, 1U);
  fall_ = std::max(fall, 1U);
  against_ = 0;
}

}  // namespace vipkeeper::vrrp
