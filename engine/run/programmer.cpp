#include "engine/run/programmer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "engine/run/virtual_service.h"

namespace vipkeeper::run {
namespace {

// Commands in one turn: some milliseconds of work, so that checks and questions are not kept waiting behind a big
// change.
constexpr std::size_t commands_a_turn = 4096;
// A change of this many commands is logged command by command.
constexpr std::size_t few = 4;

// As keepalived writes them, for those who grep: "[10.0.0.7]:tcp:8080", "FWM 7".
std::string service_text(const ipvs::ServiceKey& key) {
  if (key.fwmark != 0) return fmt::format("FWM {}", key.fwmark);
  return fmt::format("[{}]:{}:{}", key.address.to_string(), to_string(key.protocol), key.port);
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  return fmt::format("[{}]:tcp:{}", address.to_string(), port);
}

Duration table_backoff(const Error& error, unsigned failures) {
  // Somebody has to load a module or give a right: nothing to be quick about.
  if (error.code == ErrorCode::unsupported || error.code == ErrorCode::permission) return std::chrono::seconds(30);
  return std::min<Duration>(std::chrono::seconds(1U << std::min(failures, 5U)), std::chrono::seconds(30));
}

bool was_changed_elsewhere(ErrorCode code) { return code == ErrorCode::not_found || code == ErrorCode::already_exists; }

}  // namespace

Programmer::Programmer(ipvs::KernelTable& table, Ownership* ownership, Log log, Options options)
    : table_(table), ownership_(ownership), log_(std::move(log)), options_(std::move(options)), checks_(options_.seed) {
  if (ownership_ != nullptr) recorded_ = ownership_->services();
  reconciler_.adopt(recorded_);
}

void Programmer::say(LogLevel level, const std::string& line) { log_(level, line); }

// --- what is desired -----------------------------------------------------------------------------------------------

void Programmer::follow_checks(const config::VirtualServer& server, check::User user, TimePoint now) {
  if (!options_.check) return;
  for (const config::RealServer& real : server.real_servers)
    for (const config::TcpCheck& check : real.checks)
      checks_.acquire(check_target(real, check), user, server.alpha, now);
}

void Programmer::unfollow_checks(const config::VirtualServer& server, check::User user) {
  for (const config::RealServer& real : server.real_servers)
    for (const config::TcpCheck& check : real.checks) checks_.release(check_target(real, check), user);
}

void Programmer::set(const ipvs::ServiceKey& key, std::shared_ptr<const config::VirtualServer> server, TimePoint now) {
  const auto [place, is_new] = services_.try_emplace(key);
  Managed& managed = place->second;
  if (is_new) {
    if (free_users_.empty()) {
      managed.user = static_cast<check::User>(users_.size());
      users_.push_back(nullptr);
    } else {
      managed.user = free_users_.back();
      free_users_.pop_back();
    }
    users_[managed.user] = &place->first;
    leaving_.erase(key);
    if (reconciler_.is_foreign(key))
      say(LogLevel::info, fmt::format("virtual service {} is in the kernel already, adopting it", key.to_string()));
  }
  // A check in both the old and the new form must not be given up in between. Its users are a set, so what stays is
  // followed again after the old form is let go, under a number that nobody else has.
  const auto previous = std::exchange(managed.server, std::move(server));
  managed.missed = missed_drains(*managed.server, previous.get(), managed.missed, checks_);
  if (previous) {
    const check::User holding = static_cast<check::User>(users_.size());
    follow_checks(*managed.server, holding, now);
    unfollow_checks(*previous, managed.user);
    follow_checks(*managed.server, managed.user, now);
    unfollow_checks(*managed.server, holding);
  } else {
    follow_checks(*managed.server, managed.user, now);
  }
  update_quorum(managed, is_new);
  reconciler_.desire(key, desired_entry(*managed.server, checks_, managed.missed));
}

void Programmer::remove(const ipvs::ServiceKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end()) return;
  unfollow_checks(*found->second.server, found->second.user);
  users_[found->second.user] = nullptr;
  free_users_.push_back(found->second.user);
  services_.erase(found);
  refusals_.erase(key);
  leaving_.insert(key);
  reconciler_.desire(key, std::nullopt);
}

void Programmer::apply(const VirtualServers& delta, bool complete, TimePoint now) {
  if (ownership_ != nullptr) {
    std::vector<ipvs::ServiceKey> claims;
    for (const auto& [key, server] : delta)
      if (server != nullptr) claims.push_back(service_key(key));
    ownership_->claim(claims);
  }
  for (const auto& [key, server] : delta) {
    if (server != nullptr)
      set(service_key(key), server, now);
    else
      remove(service_key(key));
  }
  if (complete && !complete_) {
    complete_ = true;
    if (!reconciler_.wants_whole_table(now)) drop_orphans();
  }
}

// What an earlier run left and nobody desires.
void Programmer::drop_orphans() {
  std::vector<ipvs::ServiceKey> orphans;
  for (const auto& [key, entry] : reconciler_.mirror())
    if (!services_.contains(key)) orphans.push_back(key);
  for (const ipvs::ServiceKey& key : orphans) reconciler_.desire(key, std::nullopt);
  leaving_.insert(orphans.begin(), orphans.end());
  for (const ipvs::ServiceKey& key : std::exchange(recorded_, {}))
    if (!services_.contains(key)) leaving_.insert(key);
}

// --- checks --------------------------------------------------------------------------------------------------------

void Programmer::update_quorum(Managed& managed, bool silent) {
  const config::VirtualServer& server = *managed.server;
  const bool is_up = has_quorum(server, checks_, managed.quorum_up || silent);
  if (is_up != managed.quorum_up && !silent)
    say(LogLevel::info, fmt::format("{} quorum {} for VS {}", is_up ? "Gained" : "Lost", server.quorum,
                                    service_text(service_key(server.key))));
  managed.quorum_up = is_up;
}

void Programmer::handle(check::ProbeId id, const check::Outcome& outcome, TimePoint now) {
  counters_.checks[static_cast<std::size_t>(outcome.kind)] += 1;
  const auto change = checks_.handle(now, id, outcome);
  if (!change) return;
  log_change(*change);
  for (const check::User user : change->users) {
    const ipvs::ServiceKey* key = user < users_.size() ? users_[user] : nullptr;
    if (key == nullptr) continue;
    Managed& managed = services_.at(*key);
    update_quorum(managed, false);
    reconciler_.desire(*key, desired_entry(*managed.server, checks_, managed.missed));
  }
}

void Programmer::log_change(const check::Change& change) {
  const std::string who = endpoint_text(change.target.address, change.target.port);
  const bool is_alive = change.to == check::Health::alive;
  // Most are assumed alive until the first check says so, which is no news.
  if (is_alive && change.from == check::Health::unknown) return;
  if (is_alive)
    say(LogLevel::info, fmt::format("TCP connection to {} success. ({})", who, change.text));
  else
    say(LogLevel::info, fmt::format("TCP_CHECK on service {} failed. ({})", who, change.text));
  std::size_t named = 0;
  for (const check::User user : change.users) {
    if (user >= users_.size() || users_[user] == nullptr) continue;
    if (++named > few) {
      say(LogLevel::info, fmt::format("... and {} more VS", change.users.size() - few));
      return;
    }
    say(LogLevel::info, fmt::format("{} service {} {} VS {}", is_alive ? "Adding" : "Removing", who,
                                    is_alive ? "to" : "from", service_text(*users_[user])));
  }
}

// --- the kernel ----------------------------------------------------------------------------------------------------

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
  if (!table_error_ || table_error_->message != error.message)
    say(LogLevel::error, fmt::format("IPVS: {}; addresses are not affected; tried again within 30 s", error.message));
  table_error_ = error;
}

bool Programmer::read_table(TimePoint now) {
  const bool audit = !reconciler_.wants_whole_table(now);
  auto table = table_.read();
  (audit ? counters_.table_audits : counters_.table_reads) += 1;
  if (!table) {
    table_failed(table.error(), now);
    return false;
  }
  if (table_error_) say(LogLevel::info, "IPVS: the kernel's table can be read again");
  table_error_.reset();
  table_failures_ = 0;
  table_read(*table, audit);
  reconciler_.observe(std::move(*table));
  if (complete_) drop_orphans();
  was_read_ = true;
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
void Programmer::table_read(const ipvs::Table& table, bool audit) {
  std::size_t left = 0, foreign = 0, changed = 0;
  for (const auto& [key, entry] : table) {
    if (recorded_.contains(key)) ++left;
    const auto mirrored = reconciler_.mirror().find(key);
    if (mirrored != reconciler_.mirror().end() && mirrored->second != entry) ++changed;
    if (!was_read_ && services_.contains(key) && !recorded_.contains(key)) ++foreign;
  }
  for (const auto& [key, entry] : reconciler_.mirror())
    if (!table.contains(key)) ++changed;
  if (!was_read_ && left > 0)
    say(LogLevel::info, fmt::format("IPVS: adopted from an earlier run: {} virtual services", left));
  if (foreign > 0)
    say(LogLevel::warning,
        fmt::format("IPVS: adopted although nothing records that this program made them: {} virtual services",
                    foreign));
  if (audit && changed > 0)
    say(LogLevel::warning, fmt::format("IPVS: changed by someone else, being put right: {} virtual services", changed));
}

bool Programmer::read_services(TimePoint now) {
  for (const ipvs::ServiceKey& key : reconciler_.wants_services(now)) {
    auto entry = table_.read(key);
    counters_.service_reads += 1;
    if (!entry) {
      table_failed(entry.error().with_context("virtual service " + key.to_string()), now);
      return false;
    }
    reconciler_.observe(key, std::move(*entry));
  }
  return true;
}

bool Programmer::turn(TimePoint now) {
  if (ownership_ != nullptr) ownership_->retry();
  if (!needs_table()) {
    if (complete_) release_gone();
    return false;
  }
  const bool audit_due = audit_at_ && *audit_at_ <= now;
  if (reconciler_.wants_whole_table(now) || audit_due) {
    if (table_retry_ > now || !read_table(now)) return false;
    if (options_.audit_interval > Duration::zero()) audit_at_ = now + options_.audit_interval;
  }
  if (!read_services(now)) return false;
  const auto batch = reconciler_.next(now, commands_a_turn);
  if (!batch.empty()) program(batch, now);
  release_gone();
  return !batch.empty();
}

void Programmer::program(const std::vector<ipvs::Operation>& batch, TimePoint now) {
  const auto results = table_.apply(batch);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i])
      counters_.operations[batch[i].index()] += 1;
    else
      counters_.kernel_errors += 1;
  }
  const auto outcome = reconciler_.acknowledge(now, batch, results);
  report(outcome, batch);
  if (outcome.table_unusable) table_failed(*outcome.table_unusable, now);
}

void Programmer::report(const ipvs::Reconciler::Acknowledgement& outcome, const std::vector<ipvs::Operation>& batch) {
  std::set<ipvs::ServiceKey> failed;
  for (const auto& [operation, error] : outcome.failures) {
    const ipvs::ServiceKey& key = ipvs::service_of(operation);
    failed.insert(key);
    const std::string text = error.with_context(ipvs::subject(operation)).message;
    std::string& logged = refusals_[key];
    if (logged == text) continue;
    if (std::holds_alternative<ipvs::AddService>(operation) && error.code == ErrorCode::already_exists)
      say(LogLevel::info, fmt::format("virtual service {} is in the kernel already, adopting it", key.to_string()));
    else if (was_changed_elsewhere(error.code))
      say(LogLevel::warning, text + "; someone else has changed it, reading it again");
    else
      say(LogLevel::error, text);
    logged = text;
  }
  if (outcome.table_unusable) return;
  if (batch.size() <= few) {
    for (const ipvs::Operation& operation : batch)
      if (!failed.contains(ipvs::service_of(operation))) say(LogLevel::info, "IPVS: " + ipvs::to_string(operation));
  } else {
    say(LogLevel::info,
        fmt::format("IPVS: {} commands{}", batch.size(),
                    failed.empty() ? "" : fmt::format(", refused for {} virtual services", failed.size())));
  }
  if (refusals_.empty()) return;
  for (const ipvs::Operation& operation : batch)
    if (!failed.contains(ipvs::service_of(operation))) refusals_.erase(ipvs::service_of(operation));
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

// --- what is told --------------------------------------------------------------------------------------------------

std::optional<TimePoint> Programmer::next_deadline(TimePoint now) {
  auto deadline = checks_.next_deadline();
  const auto earlier = [&](std::optional<TimePoint> other) {
    if (other && (!deadline || *other < *deadline)) deadline = other;
  };
  if (ownership_ != nullptr) earlier(ownership_->retry_at());
  if (!needs_table()) return deadline;
  if (reconciler_.wants_whole_table(now)) {
    earlier(std::max(table_retry_, now));
  } else {
    earlier(reconciler_.next_deadline(now));
    earlier(audit_at_);
  }
  return deadline;
}

bool Programmer::settled() const { return complete_ && (!needs_table() || reconciler_.caught_up()); }

std::vector<status::VirtualServiceStatus> Programmer::status() const {
  std::vector<status::VirtualServiceStatus> result;
  result.reserve(services_.size());
  for (const auto& [key, managed] : services_)
    result.push_back(service_status(*managed.server, checks_, managed.quorum_up, managed.missed));
  return result;
}

std::vector<status::Problem> Programmer::problems() const {
  std::vector<status::Problem> result;
  if (table_error_ && needs_table()) result.push_back({true, "IPVS", table_error_->message});
  if (needs_table()) result.insert(result.end(), unprepared_.begin(), unprepared_.end());
  for (const auto& [key, text] : refusals_)
    if (reconciler_.failures(key) > 0) result.push_back({true, "virtual service " + key.to_string(), text});
  return result;
}

}  // namespace vipkeeper::run
