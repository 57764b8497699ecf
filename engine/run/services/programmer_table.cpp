// The programmer's dealings with the kernel's table and with the record of what is own.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "engine/run/services/programmer.h"

namespace vipkeeper::run {
namespace {

// Commands in one turn: some milliseconds of work, so that checks and questions are not kept waiting behind a big
// change.
constexpr std::size_t commands_a_turn = 4096;
// A change of this many commands is logged command by command.
constexpr std::size_t few = 4;

Duration table_backoff(const Error& error, unsigned failures) {
  // Somebody has to load a module or give a right: nothing to be quick about.
  if (error.code == ErrorCode::unsupported || error.code == ErrorCode::permission) return std::chrono::seconds(30);
  return std::min<Duration>(std::chrono::seconds(1U << std::min(failures, 5U)), std::chrono::seconds(30));
}

}  // namespace

bool Programmer::needs_table() const {
  if (!services_.empty()) return true;
  // Without IPVS there is nothing that could have been left in it.
  if (table_error_ && table_error_->code == ErrorCode::unsupported) return false;
  return !recorded_.empty() || !leaving_.empty() || !reconciler_.mirror().empty();
}

void Programmer::table_failed(const Error& error, TimePoint now) {
  counters_.kernel_errors += 1;
  reconciler_.invalidate();
  table_retry_ = now + table_backoff(error, table_failures_);
  table_failures_ += 1;
  problems_changed_ = true;
  if (!table_error_ || table_error_->message != error.message)
    say_seldom(LogLevel::error, error.message,
               fmt::format("IPVS: {}; addresses are not affected; tried again within 30 s", error.message), now);
  table_error_ = error;
}

// A table that can be read and takes no command is no better: only now is the next failure a first one.
void Programmer::table_works(TimePoint now) {
  table_failures_ = 0;
  if (!table_error_) return;
  say_seldom(LogLevel::info, "works", "IPVS: the kernel's table can be programmed again", now);
  table_error_.reset();
  problems_changed_ = true;
}

// Where the first list leaves much of what is own in doubt, a second one decides. Adds to `changed`.
bool Programmer::read_table(TimePoint now, std::size_t& changed) {
  const bool audit = !reconciler_.wants_whole_table(now);
  for (int lists = 0; lists < 2; ++lists) {
    auto table = table_.read();
    (audit ? counters_.table_audits : counters_.table_reads) += 1;
    if (!table) {
      table_failed(table.error(), now);
      return false;
    }
    if (!was_read_) tell_found(*table);
    was_read_ = true;
    changed += reconciler_.observe(std::move(*table));
    if (!reconciler_.wants_whole_table(now)) break;
  }
  problems_changed_ = true;
  if (complete_) drop_orphans();
  prepare_kernel();
  return true;
}

void Programmer::prepare_kernel() {
  if (!options_.prepare_kernel) return;
  const auto known = std::exchange(unprepared_, options_.prepare_kernel());
  for (const status::Problem& problem : unprepared_)
    if (std::ranges::find(known, problem) == known.end())
      say(LogLevel::warning, fmt::format("{} {}", problem.object, problem.message));
}

// Tells what is found there before it is taken over.
void Programmer::tell_found(const ipvs::Table& table) {
  std::size_t left = 0, foreign = 0;
  for (const auto& [key, entry] : table) {
    if (recorded_.contains(key))
      ++left;
    else if (services_.contains(key))
      ++foreign;
  }
  if (left > 0) say(LogLevel::info, fmt::format("IPVS: adopted from an earlier run: {} virtual services", left));
  if (foreign > 0)
    say(LogLevel::warning,
        fmt::format("IPVS: adopted although nothing records that this program made them: {} virtual services",
                    foreign));
}

// Those that are to be read one by one. Adds to `changed`.
bool Programmer::read_services(TimePoint now, std::size_t& changed) {
  for (const ipvs::ServiceKey& key : reconciler_.wants_services(now)) {
    auto entry = table_.read(key);
    counters_.service_reads += 1;
    problems_changed_ = true;
    if (entry) {
      if (reconciler_.observe(key, std::move(*entry))) ++changed;
    } else if (const auto* error = std::get_if<ipvs::OperationError>(&entry.error())) {
      counters_.kernel_errors += 1;
      reconciler_.read_failed(now, key);
      report_failure(key, "read virtual service " + key.to_string(), *error, false, now);
    } else {
      table_failed(std::get<ipvs::TableError>(entry.error()).with_context("virtual service " + key.to_string()), now);
      return false;
    }
  }
  return true;
}

bool Programmer::turn(TimePoint now) {
  if (ownership_ != nullptr) ownership_->retry();
  if (!needs_table()) {
    if (complete_) release_gone();
    return false;
  }
  const bool is_unknown = reconciler_.wants_whole_table(now);
  const bool is_audit = !is_unknown && audit_at_ && *audit_at_ <= now;
  std::size_t changed = 0;
  if (is_unknown || is_audit) {
    if (table_retry_ > now || !read_table(now, changed)) return false;
    if (options_.audit_interval > Duration::zero()) audit_at_ = now + options_.audit_interval;
  }
  if (!read_services(now, changed)) return false;
  // Reading may have shown that all is well with some.
  if (problems_changed_)
    std::erase_if(refusals_, [this](const auto& item) { return !reconciler_.is_wanted(item.first); });
  if (is_audit && changed > 0)
    say(LogLevel::warning, fmt::format("IPVS: changed by someone else, being put right: {} virtual services", changed));
  const auto batch = reconciler_.next(now, commands_a_turn);
  if (batch.empty())
    table_works(now);
  else
    program(batch, now);
  release_gone();
  return !batch.empty();
}

void Programmer::program(const std::vector<ipvs::Operation>& batch, TimePoint now) {
  const auto applied = table_.apply(batch);
  for (std::size_t i = 0; i < applied.answers.size(); ++i) {
    if (applied.answers[i])
      counters_.operations[batch[i].index()] += 1;
    else
      counters_.kernel_errors += 1;
  }
  const auto outcome = reconciler_.acknowledge(now, batch, applied);
  report(outcome, batch, now);
  if (outcome.table_error)
    table_failed(*outcome.table_error, now);
  else
    table_works(now);
}

// Each refusal is told once, as long as it stays the same; of those alike, one a minute.
void Programmer::report_failure(const ipvs::ServiceKey& key, const std::string& subject,
                                const ipvs::OperationError& error, bool is_addition, TimePoint now) {
  using Kind = ipvs::OperationError::Kind;
  const std::string text = subject + ": " + error.message;
  const bool is_known = std::exchange(refusals_[key], text) == text;
  if (!is_known || reconciler_.failures(key) <= 1) problems_changed_ = true;
  if (is_known) return;
  if (is_addition && error.kind == Kind::taken)
    say_seldom(LogLevel::info, "adopting",
               fmt::format("virtual service {} is in the kernel already, adopting it", key.to_string()), now);
  else if (error.kind == Kind::taken || error.kind == Kind::gone)
    say_seldom(LogLevel::warning, error.message, text + "; someone else has changed it, reading it again", now);
  else
    say_seldom(LogLevel::error, error.message, text, now);
}

void Programmer::report(const ipvs::Reconciler::Acknowledgement& outcome, const std::vector<ipvs::Operation>& batch,
                        TimePoint now) {
  std::set<ipvs::ServiceKey> failed;
  for (const auto& [operation, error] : outcome.failures) {
    const ipvs::ServiceKey& key = ipvs::service_of(operation);
    failed.insert(key);
    report_failure(key, ipvs::subject(operation), error, std::holds_alternative<ipvs::AddService>(operation), now);
  }
  if (outcome.table_error) return;
  const auto is_done = [&](const ipvs::Operation& operation) { return !failed.contains(ipvs::service_of(operation)); };
  const auto done = std::ranges::count_if(batch, is_done);
  if (batch.size() <= few) {
    for (const ipvs::Operation& operation : batch)
      if (is_done(operation)) say(LogLevel::info, "IPVS: " + ipvs::to_string(operation));
  } else if (done > 0) {  // else the refusals have been told, and this is one more try
    say(LogLevel::info,
        fmt::format("IPVS: {} commands{}", batch.size(),
                    failed.empty() ? "" : fmt::format(", refused for {} virtual services", failed.size())));
  }
  if (refusals_.empty()) return;
  for (const ipvs::Operation& operation : batch)
    if (is_done(operation) && refusals_.erase(ipvs::service_of(operation)) != 0) problems_changed_ = true;
}

void Programmer::release_gone() {
  if (leaving_.empty() || ownership_ == nullptr) {
    if (ownership_ == nullptr) leaving_.clear();
    return;
  }
  std::vector<ipvs::ServiceKey> gone;
  for (const ipvs::ServiceKey& key : leaving_)
    if (!reconciler_.is_wanted(key) && !reconciler_.mirror().contains(key)) gone.push_back(key);
  ownership_->release(gone);
  for (const ipvs::ServiceKey& key : gone) leaving_.erase(key);
}

void Programmer::remove_all(TimePoint now) {
  complete_ = true;
  std::vector<ipvs::ServiceKey> keys;
  for (const auto& [key, managed] : services_) keys.push_back(key);
  for (const ipvs::ServiceKey& key : keys) remove(key);
  if (!reconciler_.wants_whole_table(now)) drop_orphans();
  table_retry_ = TimePoint{};
  while (turn(now)) {
  }
}

}  // namespace vipkeeper::run
