#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/log_limiter.h"
#include "engine/check/schedule.h"
#include "engine/config/config.h"
#include "engine/ipvs/reconciler.h"
#include "engine/run/record/ownership.h"
#include "engine/run/services/programming_counters.h"
#include "engine/run/services/virtual_servers.h"
#include "engine/run/services/virtual_service.h"
#include "engine/run/thread/log.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

enum class LogLevel { info, warning, error };
using Log = std::function<void(LogLevel level, const std::string& line)>;

// Makes the kernel's table what the configuration and the checks say it shall be.
//
// Everything that the programming thread decides and nothing that it waits for: time comes in as an argument, probes go
// out as values, and the table is the seam KernelTable, so the whole of it runs in a unit test. What it does is in the
// order of turn(): read what is not known, plan, claim, apply, release. It never touches the kernel while there is no
// virtual service, neither desired nor left by an earlier run, so a host without IPVS that only holds addresses is
// fine.
class Programmer {
 public:
  struct Options {
    std::uint64_t seed = 0;  // spreads checks
    bool check = true;       // else every real server of a service without `alpha` counts as alive
    Duration audit_interval = std::chrono::seconds(30);  // 0: never
    // Called after each reading of the whole table; what it returns is wrong with this host until it is called again.
    std::function<std::vector<status::Problem>()> prepare_kernel = nullptr;
  };

  // `table` and `ownership` (null: nothing is recorded) outlive it.
  Programmer(ipvs::KernelTable& table, Ownership* ownership, Log log, Options options);

  // `complete`: with this, everything desired was told. Until then nothing that an earlier run left is deleted.
  void apply(const VirtualServers& delta, bool complete, TimePoint now);

  // Probes to start now, at most `limit`, and their ends.
  std::vector<check::Probe> take_due(TimePoint now, std::size_t limit) { return checks_.take_due(now, limit); }
  void handle(check::ProbeId id, const check::Outcome& outcome, TimePoint now);

  // One step of programming; true: there may be more to do at once.
  bool turn(TimePoint now);
  // When turn() or take_due() has something to do next.
  [[nodiscard]] std::optional<TimePoint> next_deadline(TimePoint now);
  // Reads the whole table again and puts right what differs.
  void resync() { reconciler_.invalidate(); }
  // Deletes all own services, as far as the kernel lets.
  void remove_all(TimePoint now);

  // Everything desired was told, and tried at least once on a table that answers.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::vector<status::VirtualServiceStatus> status() const;
  // The same value as before while nothing of it has changed.
  using Problems = std::shared_ptr<const std::vector<status::Problem>>;
  [[nodiscard]] Problems problems();
  [[nodiscard]] const ProgrammingCounters& counters() const { return counters_; }

 private:
  struct Managed {
    std::shared_ptr<const config::VirtualServer> server;
    check::User user = 0;
    bool quorum_up = false;
    Missed missed{};
  };
  using Services = std::map<ipvs::ServiceKey, Managed>;

  void set(const ipvs::ServiceKey& key, std::shared_ptr<const config::VirtualServer> server, TimePoint now);
  void remove(const ipvs::ServiceKey& key);
  void follow_checks(const config::VirtualServer& server, check::User user, TimePoint now);
  void unfollow_checks(const config::VirtualServer& server, check::User user);
  void update_quorum(Managed& managed, bool silent);
  void log_change(const check::Change& change);

  void desire(const ipvs::ServiceKey& key, std::optional<ipvs::ServiceEntry> entry);

  bool needs_table() const;
  bool read_table(TimePoint now, std::size_t& changed);
  bool read_services(TimePoint now, std::size_t& changed);
  void table_failed(const Error& error, TimePoint now);
  void table_works(TimePoint now);
  void tell_found(const ipvs::Table& table);
  void prepare_kernel();
  void drop_orphans();
  void release_gone();
  void program(const std::vector<ipvs::Operation>& batch, TimePoint now);
  void report(const ipvs::Reconciler::Acknowledgement& outcome, const std::vector<ipvs::Operation>& batch,
              TimePoint now);
  void report_failure(const ipvs::ServiceKey& key, const std::string& subject, const ipvs::OperationError& error,
                      bool is_addition, TimePoint now);
  void say(LogLevel level, const std::string& line);
  void say_seldom(LogLevel level, const std::string& kind, const std::string& line, TimePoint now);

  ipvs::KernelTable& table_;
  Ownership* const ownership_;
  const Log log_;
  const Options options_;

  check::Schedule checks_;
  ipvs::Reconciler reconciler_;
  Services services_;
  std::vector<const ipvs::ServiceKey*> users_;  // by check::User; null: free
  std::vector<check::User> free_users_;
  std::set<ipvs::ServiceKey> recorded_;  // by an earlier run, as long as that matters
  std::set<ipvs::ServiceKey> leaving_;   // no longer desired, to be released once gone
  bool complete_ = false;

  std::optional<Error> table_error_;
  unsigned table_failures_ = 0;
  TimePoint table_retry_{};
  std::optional<TimePoint> audit_at_;
  bool was_read_ = false;
  std::vector<status::Problem> unprepared_;           // what the kernel lacks
  std::map<ipvs::ServiceKey, std::string> refusals_;  // as they were last told of
  LogLimiter limiter_;
  Problems problems_ = std::make_shared<const std::vector<status::Problem>>();
  bool problems_changed_ = false;
  bool needed_table_ = false;  // when problems_ was made
  ProgrammingCounters counters_;
};

}  // namespace vipkeeper::run
