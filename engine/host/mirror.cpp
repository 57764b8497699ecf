#include "engine/host/mirror.h"

#include <utility>

namespace vipkeeper::host {
namespace {

// More than that during one reading: another reading is cheaper than remembering it.
constexpr std::size_t most_remembered = 100'000;

}  // namespace

NetworkChanges Mirror::apply(std::span<const Notification> said) {
  NetworkChanges changes;
  for (const auto& one : said) state_.apply(one, changes);
  if (reading_ && since_.size() <= most_remembered) since_.insert(since_.end(), said.begin(), said.end());
  return changes;
}

std::uint64_t Mirror::begin_reading() {
  reading_ = true;
  since_.clear();
  return ++number_;
}

std::optional<NetworkChanges> Mirror::finish_reading(std::uint64_t number, NetworkState fresh) {
  if (!reading_ || number != number_) return std::nullopt;
  reading_ = false;
  const auto since = std::exchange(since_, {});
  if (since.size() > most_remembered) return std::nullopt;
  NetworkChanges ignored;
  for (const auto& said : since) fresh.apply(said, ignored);
  NetworkChanges changes = difference(state_, fresh);
  state_ = std::move(fresh);
  return changes;
}

void Mirror::give_up_reading(std::uint64_t number) {
  if (number != number_) return;
  reading_ = false;
  since_.clear();
}

}  // namespace vipkeeper::host
