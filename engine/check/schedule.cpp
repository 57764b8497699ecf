#include "engine/check/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <system_error>

namespace vipkeeper::check {
namespace {

constexpr Duration first_probes_within = std::chrono::seconds(2);
// A probe that could not even be started is tried again after this, but never more often than a failed one.
constexpr Duration local_retry = std::chrono::seconds(1);

// The finalizer of splitmix64: spreads neighbouring inputs over all of 64 bits.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

Duration share(Duration whole, double fraction) {
  return Duration(static_cast<Duration::rep>(static_cast<double>(whole.count()) * fraction));
}

std::uint32_t microseconds(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

std::string to_string(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::connected:
      return fmt::format("connected in {:.1f} ms", std::chrono::duration<double, std::milli>(outcome.elapsed).count());
    case Outcome::Kind::timed_out:
      return fmt::format("no answer in {:.3g} s", std::chrono::duration<double>(outcome.elapsed).count());
    case Outcome::Kind::refused:
      return std::generic_category().message(outcome.error);
    case Outcome::Kind::local:
      return fmt::format("could not be probed from here: {}", std::generic_category().message(outcome.error));
  }
  return "?";
}

// In [0, 1), always the same for a target on a host.
double Schedule::fraction(const Target& target, std::uint64_t salt) const {
  const std::uint64_t hash = mix(std::hash<IpAddress>{}(target.address) ^ mix(target.port ^ mix(salt ^ seed_)));
  return static_cast<double>(hash >> 11) * 0x1.0p-53;
}

const Schedule::Entry* Schedule::entry_of(const Target& target) const {
  const auto found = index_.find(target);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

// Nullptr: the check it belonged to is gone, or has been given a newer deadline.
Schedule::Entry* Schedule::find(ProbeId id) {
  Entry& entry = entries_[id.slot];
  return entry.users.empty() || entry.serial != id.serial ? nullptr : &entry;
}

void Schedule::schedule(std::uint32_t slot, TimePoint at) {
  Entry& entry = entries_[slot];
  entry.serial += 1;
  due_.push({at, {slot, entry.serial}});
}

void Schedule::inherit(Entry& entry, const Target& target) const {
  const auto same_endpoint = [&](const Target& other) {
    return other.address == target.address && other.port == target.port;
  };
  // Neighbours in the order of the map have the same address and port.
  Target first{.address = target.address, .port = target.port, .timeout = Duration::min()};
  first.interval = first.delay_before_retry = Duration::min();
  for (auto other = index_.lower_bound(first); other != index_.end() && same_endpoint(other->first); ++other) {
    const Entry& from = entries_[other->second];
    if (from.health == Health::unknown) continue;
    entry.health = from.health;
    entry.last = from.last;
    entry.error = from.error;
    entry.elapsed_microseconds = from.elapsed_microseconds;
    entry.any_result = from.any_result;
    return;
  }
}

void Schedule::acquire(const Target& target, User user, bool urgent, TimePoint now) {
  if (const auto found = index_.find(target); found != index_.end()) {
    Entry& entry = entries_[found->second];
    if (std::ranges::find(entry.users, user) == entry.users.end()) entry.users.push_back(user);
    return;
  }
  Entry entry;
  inherit(entry, target);
  std::uint32_t slot = static_cast<std::uint32_t>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  entry.users.assign(1, user);
  entry.serial = entries_[slot].serial;
  entry.target = &index_.emplace(target, slot).first->first;
  entries_[slot] = std::move(entry);
  const Duration spread = std::min(target.interval, first_probes_within);
  schedule(slot, urgent ? now : now + share(spread, fraction(target, 1)));
}

void Schedule::release(const Target& target, User user) {
  const auto found = index_.find(target);
  if (found == index_.end()) return;
  Entry& entry = entries_[found->second];
  std::erase(entry.users, user);
  if (!entry.users.empty()) return;
  entry.serial += 1;
  entry.users.shrink_to_fit();
  free_.push_back(found->second);
  index_.erase(found);
}

Health Schedule::health(const Target& target) const {
  const Entry* entry = entry_of(target);
  return entry == nullptr ? Health::unknown : entry->health;
}

std::string Schedule::text(const Target& target) const {
  const Entry* entry = entry_of(target);
  if (entry == nullptr || !entry->any_result) return "tcp: not checked yet";
  std::string text =
      "tcp: " + to_string(Outcome{entry->last, entry->error, std::chrono::microseconds(entry->elapsed_microseconds)});
  if (entry->health == Health::alive && entry->tries_failed > 0)
    text += fmt::format(" (try {} of {} failed)", entry->tries_failed, target.retry + 1);
  return text;
}

std::optional<TimePoint> Schedule::next_deadline() {
  while (!due_.empty() && find(due_.top().id) == nullptr) due_.pop();
  if (due_.empty()) return std::nullopt;
  return due_.top().at;
}

std::vector<Probe> Schedule::take_due(TimePoint now, std::size_t limit) {
  std::vector<Probe> probes;
  while (probes.size() < limit) {
    const auto deadline = next_deadline();
    if (!deadline || *deadline > now) break;
    const ProbeId id = due_.top().id;
    due_.pop();
    const Target& target = *entries_[id.slot].target;
    probes.push_back({id, target.address, target.port, target.timeout});
  }
  return probes;
}

// Writes down what the probe says and returns in how long the next one is due.
Duration Schedule::judge(Entry& entry, const Outcome& outcome) const {
  const Target& target = *entry.target;
  entry.last = outcome.kind;
  entry.error = outcome.error;
  entry.elapsed_microseconds = microseconds(outcome.elapsed);
  entry.any_result = true;
  if (outcome.kind == Outcome::Kind::local) return std::max(local_retry, target.delay_before_retry);
  if (outcome.kind == Outcome::Kind::connected) {
    entry.health = Health::alive;
    entry.tries_failed = 0;
  } else if (entry.health == Health::alive && entry.tries_failed < target.retry) {
    entry.tries_failed += 1;
    return target.delay_before_retry;
  } else {
    entry.health = Health::dead;
    entry.tries_failed = 0;
  }
  if (entry.spread) return target.interval;
  entry.spread = true;
  return share(target.interval, fraction(target, 2));
}

std::optional<Change> Schedule::handle(TimePoint now, ProbeId id, const Outcome& outcome) {
  Entry* entry = find(id);
  if (entry == nullptr) return std::nullopt;
  const Health before = entry->health;
  const Duration pause = judge(*entry, outcome);
  schedule(id.slot, now + pause);
  if (entry->health == before) return std::nullopt;
  return Change{*entry->target, before, entry->health, text(*entry->target), entry->users};
}

}  // namespace vipkeeper::check
