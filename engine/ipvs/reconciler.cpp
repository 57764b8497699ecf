#include "engine/ipvs/reconciler.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <ranges>
#include <utility>

#include "engine/ipvs/planner.h"

namespace vipkeeper::ipvs {
namespace {

// With more services than this to be read one by one, one list of everything is the cheaper way.
constexpr std::size_t single_reads_at_most = 64;
// So many lists in a row that do not have a service agree that it is not there.
constexpr unsigned lists_that_decide = 2;

Duration backoff(unsigned failures) {
  const unsigned doublings = std::min(failures - 1, 5U);
  return std::min<Duration>(std::chrono::seconds(1U << doublings), std::chrono::seconds(30));
}

// The mirror was wrong, someone else has changed the table: reading it again is likely to be the cure.
bool mirror_was_wrong(OperationError::Kind kind) {
  return kind == OperationError::Kind::gone || kind == OperationError::Kind::taken;
}

}  // namespace

const ServiceEntry* Reconciler::mirrored(const ServiceKey& key) const {
  const auto found = mirror_.find(key);
  return found == mirror_.end() ? nullptr : &found->second;
}

unsigned Reconciler::failures(const ServiceKey& key) const {
  const auto found = wanted_.find(key);
  return found == wanted_.end() ? 0 : found->second.failures;
}

// --- what is wanted, in the order in which it falls due ------------------------------------------------------------

void Reconciler::enter(AllWanted::iterator at) {
  Wanted& wanted = at->second;
  wanted.step = wanted.unknown ? read_it : wanted.entry ? set_it : delete_it;
  agendas_[wanted.step].emplace(wanted.retry_at, &at->first);
  if (wanted.failures == 0) ++untried_;
}

void Reconciler::leave(AllWanted::iterator at) {
  const Wanted& wanted = at->second;
  agendas_[wanted.step].erase({wanted.retry_at, &at->first});
  if (wanted.failures == 0) --untried_;
}

template <class Change>
void Reconciler::change(AllWanted::iterator at, Change change) {
  leave(at);
  change(at->second);
  enter(at);
}

// Forgets what is wanted once the mirror shows it.
void Reconciler::settle(const ServiceKey& key) {
  const auto at = wanted_.find(key);
  if (at == wanted_.end() || at->second.unknown) return;
  const ServiceEntry* actual = mirrored(key);
  const bool same = at->second.entry ? actual != nullptr && *actual == *at->second.entry
                                     : actual == nullptr && !doubts_.contains(key);
  if (!same) return;
  leave(at);
  wanted_.erase(at);
}

bool Reconciler::is_to_be_read(const ServiceKey& key) const {
  const auto doubt = doubts_.find(key);
  return doubt != doubts_.end() && doubt->second.lists < lists_that_decide;
}

void Reconciler::desire(const ServiceKey& key, std::optional<ServiceEntry> desired) {
  const bool shall_be_there = desired.has_value();
  if (!shall_be_there && foreign_.contains(key)) return;  // never ours, so not ours to delete
  const bool was_foreign = foreign_.erase(key) != 0;
  const auto [at, is_new] = wanted_.try_emplace(key);
  if (!is_new) leave(at);
  Wanted& wanted = at->second;
  wanted.entry = std::move(desired);
  wanted.failures = 0;
  wanted.retry_at = TimePoint{};
  // To delete it nothing has to be known of it.
  wanted.unknown = shall_be_there && (wanted.unknown || was_foreign || is_to_be_read(key));
  enter(at);
  if (!whole_table_unknown_) settle(key);
}

// --- what the kernel holds -----------------------------------------------------------------------------------------

bool Reconciler::wants_whole_table(TimePoint now) const {
  return whole_table_unknown_ || more_due_than(reads(), now, single_reads_at_most);
}

// What was as it shall be, shall stay so, whatever the kernel is now found to hold.
void Reconciler::want_as_mirrored(const ServiceKey& key) {
  const ServiceEntry* entry = mirrored(key);
  if (entry == nullptr) return;
  const auto [at, is_new] = wanted_.try_emplace(key);
  if (!is_new) return;
  at->second.entry = *entry;
  enter(at);
}

std::size_t Reconciler::observe(Table actual) {
  std::size_t changed = 0;
  for (auto& [key, doubt] : doubts_) {
    if (actual.contains(key)) continue;
    doubt.lists = std::min(doubt.lists + 1, lists_that_decide);
    if (doubt.was_there && doubt.lists == lists_that_decide) {
      ++changed;
      doubt.was_there = false;
    }
  }
  for (const auto& [key, entry] : mirror_) {
    const auto found = actual.find(key);
    if (found != actual.end() && found->second == entry) continue;
    const bool is_settled = !wanted_.contains(key);
    if (found == actual.end())
      doubts_.insert_or_assign(key, Doubt{1, is_settled});
    else if (is_settled)
      ++changed;
    want_as_mirrored(key);
  }
  for (const ServiceKey& key : recorded_)
    if (!actual.contains(key)) doubts_.try_emplace(key, Doubt{1, false});
  Table previous = std::exchange(mirror_, Table{});
  foreign_.clear();
  whole_table_unknown_ = false;
  while (!actual.empty()) {
    auto node = actual.extract(actual.begin());
    const ServiceKey& key = node.key();
    const bool was_in_doubt = doubts_.erase(key) != 0;
    if (was_in_doubt || wanted_.contains(key) || previous.contains(key) || recorded_.contains(key))
      mirror_.insert(mirror_.end(), std::move(node));
    else
      foreign_.insert(foreign_.end(), key);
  }
  recorded_.clear();
  std::vector<ServiceKey> keys;
  for (auto at = wanted_.begin(); at != wanted_.end(); ++at) {
    change(at, [&](Wanted& wanted) { wanted.unknown = wanted.entry && is_to_be_read(at->first); });
    keys.push_back(at->first);
  }
  for (const ServiceKey& key : keys) settle(key);
  return changed;
}

bool Reconciler::observe(const ServiceKey& key, std::optional<ServiceEntry> actual) {
  want_as_mirrored(key);
  const auto doubt = doubts_.find(key);
  const bool has_changed = doubt != doubts_.end() && doubt->second.was_there && !actual;
  if (doubt != doubts_.end()) doubts_.erase(doubt);
  if (actual)
    mirror_.insert_or_assign(key, std::move(*actual));
  else
    mirror_.erase(key);
  if (const auto at = wanted_.find(key); at != wanted_.end())
    change(at, [](Wanted& wanted) { wanted.unknown = false; });
  settle(key);
  return has_changed;
}

void Reconciler::read_failed(TimePoint now, const ServiceKey& key) {
  const auto at = wanted_.find(key);
  if (at == wanted_.end()) return;
  change(at, [&](Wanted& wanted) {
    wanted.failures += 1;
    wanted.retry_at = now + backoff(wanted.failures);
  });
}

// --- commands and their ends ---------------------------------------------------------------------------------------

std::vector<Operation> Reconciler::next(TimePoint now, std::size_t limit) const {
  std::vector<Operation> batch;
  if (whole_table_unknown_) return batch;
  for (const auto& [time, key] : agendas_[set_it]) {
    if (time > now) break;
    if (batch.size() >= limit) return batch;
    auto operations = plan(*key, mirrored(*key), &*wanted_.at(*key).entry);
    std::move(operations.begin(), operations.end(), std::back_inserter(batch));
  }
  // From the last to the first, see plan().
  const Agenda& deletions = agendas_[delete_it];
  for (auto at = deletions.upper_bound(now); at != deletions.begin() && batch.size() < limit;)
    batch.emplace_back(DeleteService{*(--at)->second});
  return batch;
}

void Reconciler::acknowledge_one(const Operation& operation) {
  apply_to(mirror_, operation);
  if (std::holds_alternative<AddService>(operation) || std::holds_alternative<DeleteService>(operation))
    doubts_.erase(service_of(operation));
}

void Reconciler::fail(TimePoint now, const Operation& operation, OperationError::Kind kind) {
  const ServiceKey& key = service_of(operation);
  if (std::holds_alternative<AddService>(operation) && kind == OperationError::Kind::taken) doubts_.try_emplace(key);
  // Short of memory, the kernel has unbound the old scheduler before it finds that it cannot bind the new one
  // (ip_vs_edit_service()): whatever is desired next, the settings are to be sent.
  if (const auto found = mirror_.find(key); found != mirror_.end() && std::holds_alternative<SetService>(operation) &&
                                            kind == OperationError::Kind::exhausted)
    found->second.service.scheduler.clear();
  const auto at = wanted_.find(key);
  if (at == wanted_.end()) return;
  change(at, [&](Wanted& wanted) {
    wanted.unknown = wanted.entry && mirror_was_wrong(kind);
    wanted.failures += 1;
    const bool at_once = wanted.failures == 1 && mirror_was_wrong(kind);
    wanted.retry_at = at_once ? now : now + backoff(wanted.failures);
  });
}

Reconciler::Acknowledgement Reconciler::acknowledge(TimePoint now, const std::vector<Operation>& operations,
                                                    const Applied& applied) {
  Acknowledgement outcome;
  std::set<ServiceKey> touched, failed;
  const std::size_t answered = std::min(operations.size(), applied.answers.size());
  for (std::size_t i = 0; i < answered; ++i) {
    const Operation& operation = operations[i];
    const ServiceKey& key = service_of(operation);
    touched.insert(touched.end(), key);
    if (const auto& answer = applied.answers[i]; answer) {
      acknowledge_one(operation);
      if (std::holds_alternative<DeleteService>(operation)) outcome.deleted.push_back(key);
    } else if (failed.insert(key).second) {
      fail(now, operation, answer.error().kind);
      outcome.failures.push_back({operation, answer.error()});
    }
  }
  for (const ServiceKey& key : touched) settle(key);
  if (answered == operations.size() && !applied.table_error) return outcome;
  // What nobody answered for may have been done.
  for (std::size_t i = answered; i < operations.size(); ++i)
    if (const ServiceKey& key = service_of(operations[i]); !mirror_.contains(key)) doubts_.try_emplace(key);
  outcome.table_error = applied.table_error.value_or(TableError{{ErrorCode::io, "the kernel gave no answer"}});
  invalidate();
  return outcome;
}

std::optional<TimePoint> Reconciler::next_deadline(TimePoint now) const {
  if (whole_table_unknown_) return now;
  std::optional<TimePoint> earliest;
  for (const Agenda& agenda : agendas_)
    if (!agenda.empty() && (!earliest || agenda.begin()->first < *earliest)) earliest = agenda.begin()->first;
  return earliest;
}

}  // namespace vipkeeper::ipvs
