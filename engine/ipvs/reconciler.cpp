#include "engine/ipvs/reconciler.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <ranges>
#include <utility>

#include "engine/ipvs/planner.h"

namespace vipkeeper::ipvs {
namespace {

// With more services than this to be read one by one, one dump of everything is the cheaper way.
constexpr std::size_t single_reads_at_most = 64;

Duration backoff(unsigned failures) {
  const unsigned doublings = std::min(failures - 1, 5U);
  return std::min<Duration>(std::chrono::seconds(1U << doublings), std::chrono::seconds(30));
}

// Not one command was refused, the table is out of reach.
bool concerns_whole_table(ErrorCode code) {
  return code == ErrorCode::unsupported || code == ErrorCode::permission || code == ErrorCode::unavailable ||
         code == ErrorCode::io;
}

// The mirror was wrong, someone else has changed the table: reading it again is likely to be the cure.
bool mirror_was_wrong(ErrorCode code) { return code == ErrorCode::not_found || code == ErrorCode::already_exists; }

}  // namespace

const ServiceEntry* Reconciler::mirrored(const ServiceKey& key) const {
  const auto found = mirror_.find(key);
  return found == mirror_.end() ? nullptr : &found->second;
}

unsigned Reconciler::failures(const ServiceKey& key) const {
  const auto found = wanted_.find(key);
  return found == wanted_.end() ? 0 : found->second.failures;
}

// Forgets what is wanted once the mirror shows it.
void Reconciler::settle(const ServiceKey& key) {
  const auto wanted = wanted_.find(key);
  if (wanted == wanted_.end() || wanted->second.unknown) return;
  const ServiceEntry* actual = mirrored(key);
  const bool same = wanted->second.entry ? actual != nullptr && *actual == *wanted->second.entry : actual == nullptr;
  if (same) wanted_.erase(wanted);
}

void Reconciler::desire(const ServiceKey& key, std::optional<ServiceEntry> desired) {
  if (!desired && foreign_.contains(key)) return;  // never ours, so not ours to delete
  Wanted& wanted = wanted_[key];
  wanted.entry = std::move(desired);
  wanted.failures = 0;
  wanted.retry_at = TimePoint{};
  if (foreign_.erase(key) != 0) wanted.unknown = true;
  if (!whole_table_unknown_) settle(key);
}

bool Reconciler::wants_whole_table(TimePoint now) const {
  return whole_table_unknown_ || wants_services(now).size() > single_reads_at_most;
}

std::vector<ServiceKey> Reconciler::wants_services(TimePoint now) const {
  std::vector<ServiceKey> result;
  for (const auto& [key, wanted] : wanted_)
    if (wanted.unknown && wanted.retry_at <= now) result.push_back(key);
  return result;
}

// What was as it shall be, shall stay so, whatever the kernel is now found to hold.
void Reconciler::want_as_mirrored(const ServiceKey& key) {
  const auto found = mirror_.find(key);
  if (found != mirror_.end()) wanted_.try_emplace(key, Wanted{found->second, false, 0, TimePoint{}});
}

void Reconciler::observe(Table actual) {
  for (const auto& [key, entry] : mirror_) {
    const auto found = actual.find(key);
    if (found == actual.end() || found->second != entry) want_as_mirrored(key);
  }
  Table previous = std::exchange(mirror_, Table{});
  foreign_.clear();
  whole_table_unknown_ = false;
  while (!actual.empty()) {
    auto node = actual.extract(actual.begin());
    const ServiceKey& key = node.key();
    if (wanted_.contains(key) || previous.contains(key) || recorded_.contains(key))
      mirror_.insert(mirror_.end(), std::move(node));
    else
      foreign_.insert(foreign_.end(), key);
  }
  recorded_.clear();
  std::vector<ServiceKey> keys;
  for (auto& [key, wanted] : wanted_) {
    wanted.unknown = false;
    keys.push_back(key);
  }
  for (const ServiceKey& key : keys) settle(key);
}

void Reconciler::observe(const ServiceKey& key, std::optional<ServiceEntry> actual) {
  want_as_mirrored(key);
  if (actual)
    mirror_.insert_or_assign(key, std::move(*actual));
  else
    mirror_.erase(key);
  if (const auto wanted = wanted_.find(key); wanted != wanted_.end()) wanted->second.unknown = false;
  settle(key);
}

std::vector<Operation> Reconciler::next(TimePoint now, std::size_t limit) {
  std::vector<Operation> batch;
  if (whole_table_unknown_) return batch;
  const auto is_ready = [&](const Wanted& wanted) { return !wanted.unknown && wanted.retry_at <= now; };
  for (const auto& [key, wanted] : wanted_) {
    if (batch.size() >= limit) return batch;
    if (!wanted.entry || !is_ready(wanted)) continue;
    auto operations = plan(key, mirrored(key), &*wanted.entry);
    std::move(operations.begin(), operations.end(), std::back_inserter(batch));
  }
  // From the last to the first, see plan().
  for (const auto& [key, wanted] : std::views::reverse(wanted_)) {
    if (batch.size() >= limit) return batch;
    if (!wanted.entry && is_ready(wanted)) batch.emplace_back(DeleteService{key});
  }
  return batch;
}

void Reconciler::fail(TimePoint now, const ServiceKey& key, ErrorCode code) {
  Wanted& wanted = wanted_[key];
  wanted.unknown = true;
  wanted.failures += 1;
  const bool at_once = wanted.failures == 1 && mirror_was_wrong(code);
  wanted.retry_at = at_once ? now : now + backoff(wanted.failures);
}

Reconciler::Acknowledgement Reconciler::acknowledge(TimePoint now, const std::vector<Operation>& operations,
                                                    const std::vector<Result<void>>& results) {
  Acknowledgement outcome;
  std::set<ServiceKey> touched, failed;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const ServiceKey& key = service_of(operations[i]);
    touched.insert(touched.end(), key);
    if (i < results.size() && results[i]) {
      apply_to(mirror_, operations[i]);
      if (std::holds_alternative<DeleteService>(operations[i])) outcome.deleted.push_back(key);
      continue;
    }
    Error error = i < results.size() ? results[i].error() : Error{ErrorCode::io, "the kernel gave no answer"};
    if (concerns_whole_table(error.code) && !outcome.table_unusable) outcome.table_unusable = error;
    if (!failed.insert(key).second) continue;
    fail(now, key, error.code);
    outcome.failures.push_back({operations[i], std::move(error)});
  }
  if (outcome.table_unusable) {
    invalidate();
    // Not these commands were refused: the order to read again decides when they are tried again.
    for (const ServiceKey& key : failed) {
      wanted_[key].failures = 0;
      wanted_[key].retry_at = now;
    }
    outcome.failures.clear();
    return outcome;
  }
  for (const ServiceKey& key : touched) settle(key);
  return outcome;
}

std::optional<TimePoint> Reconciler::next_deadline(TimePoint now) const {
  if (whole_table_unknown_) return now;
  std::optional<TimePoint> earliest;
  for (const auto& [key, wanted] : wanted_)
    if (!earliest || wanted.retry_at < *earliest) earliest = wanted.retry_at;
  return earliest;
}

bool Reconciler::caught_up() const {
  return !whole_table_unknown_ &&
         std::all_of(wanted_.begin(), wanted_.end(), [](const auto& item) { return item.second.failures > 0; });
}

}  // namespace vipkeeper::ipvs
