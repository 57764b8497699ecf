#include "engine/run/services/programmer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "engine/run/services/virtual_service.h"

namespace vipkeeper::run {
namespace {

// So many virtual services are named where a check's result changes them.
constexpr std::size_t few = 4;

// As keepalived writes them, for those who grep: "[10.0.0.7]:tcp:8080", "FWM 7".
std::string service_text(const ipvs::ServiceKey& key) {
  if (key.fwmark != 0) return fmt::format("FWM {}", key.fwmark);
  return fmt::format("[{}]:{}:{}", key.address.to_string(), to_string(key.protocol), key.port);
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  return fmt::format("[{}]:tcp:{}", address.to_string(), port);
}

}  // namespace

Programmer::Programmer(ipvs::KernelTable& table, Ownership* ownership, Log log, Options options)
    : table_(table), ownership_(ownership), log_(std::move(log)), options_(std::move(options)), checks_(options_.seed) {
  if (ownership_ != nullptr) recorded_ = ownership_->services();
  reconciler_.adopt(recorded_);
}

void Programmer::say(LogLevel level, const std::string& line) { log_(level, line); }

// One line of a kind a minute: what the kernel or another program can cause without end must not fill the log.
void Programmer::say_seldom(LogLevel level, const std::string& kind, const std::string& line, TimePoint now) {
  if (const auto held_back = limiter_.admit(now, kind)) say(level, line + LogLimiter::suffix(*held_back));
}

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
  desire(key, desired_entry(*managed.server, checks_, managed.missed));
}

void Programmer::remove(const ipvs::ServiceKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end()) return;
  unfollow_checks(*found->second.server, found->second.user);
  users_[found->second.user] = nullptr;
  free_users_.push_back(found->second.user);
  services_.erase(found);
  leaving_.insert(key);
  desire(key, std::nullopt);
  refusals_.erase(key);
}

// What is desired anew is not failing before it has been tried.
void Programmer::desire(const ipvs::ServiceKey& key, std::optional<ipvs::ServiceEntry> entry) {
  reconciler_.desire(key, std::move(entry));
  const auto refusal = refusals_.find(key);
  if (refusal == refusals_.end()) return;
  problems_changed_ = true;
  if (!reconciler_.is_wanted(key)) refusals_.erase(refusal);
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

// What an earlier run left and nobody desires: what is in the kernel, and what the record names, for a list of the
// kernel's table may leave it out.
void Programmer::drop_orphans() {
  std::set<ipvs::ServiceKey> orphans = std::exchange(recorded_, {});
  for (const auto& [key, entry] : reconciler_.mirror()) orphans.insert(key);
  std::erase_if(orphans, [this](const ipvs::ServiceKey& key) { return services_.contains(key); });
  for (const ipvs::ServiceKey& key : orphans) reconciler_.desire(key, std::nullopt);
  leaving_.merge(orphans);
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
    desire(*key, desired_entry(*managed.server, checks_, managed.missed));
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

Programmer::Problems Programmer::problems() {
  if (!problems_changed_ && needed_table_ == needs_table()) return problems_;
  problems_changed_ = false;
  needed_table_ = needs_table();
  std::vector<status::Problem> result;
  if (table_error_ && needed_table_) result.push_back({true, "IPVS", table_error_->message});
  if (needed_table_) result.insert(result.end(), unprepared_.begin(), unprepared_.end());
  for (const auto& [key, text] : refusals_)
    if (reconciler_.failures(key) > 0) result.push_back({true, "virtual service " + key.to_string(), text});
  problems_ = std::make_shared<const std::vector<status::Problem>>(std::move(result));
  return problems_;
}

}  // namespace vipkeeper::run
