#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "engine/base/clock.h"
#include "engine/ipvs/table.h"

namespace vipkeeper::ipvs {

// Own virtual services: what each shall be and what the kernel is known to hold, and so what is left to be done.
//
// The kernel is the truth, but reading it costs with its size, so what was read and what the kernel acknowledged since
// is kept as a mirror, and one change is planned against the mirror of its one service. Any error makes that service's
// mirror (or the whole) worthless: it is read again and planned again, later and later while it keeps failing. A
// service is kept as "wanted" only while it differs from the mirror; what is in the mirror and not wanted otherwise is
// as it shall be. Own is what desire() or adopt() named; everything else in the kernel is foreign and never in a plan.
//
// Pure: the caller reads and applies, and hands in the time. One turn of it:
//
//     if (wants_whole_table(now))        observe(table.read(), now)
//     for key in wants_services(now):    observe(key, table.read(key))
//     batch = next(now, limit)           acknowledge(now, batch, table.apply(batch))
class Reconciler {
 public:
  // A refusal, for the log. Only the first one of a service in a batch: those after it mostly follow from it.
  struct Failure {
    Operation operation;
    Error error;
  };
  struct Acknowledgement {
    std::vector<Failure> failures;
    std::vector<ServiceKey> deleted;      // services that are gone from the kernel now
    std::optional<Error> table_unusable;  // the kernel's IPVS as a whole failed: everything is to be read again
  };

  // What `key` shall be from now on; nullopt: not there. Planned without delay, also if it was failing.
  void desire(const ServiceKey& key, std::optional<ServiceEntry> desired);

  // These are own if the kernel has them: kept as they are until desire() says what they shall be.
  void adopt(std::set<ServiceKey> keys) { recorded_ = std::move(keys); }

  // The whole table must be read before anything else: at the start and after invalidate().
  [[nodiscard]] bool wants_whole_table(TimePoint now) const;
  // Services to be read one by one.
  [[nodiscard]] std::vector<ServiceKey> wants_services(TimePoint now) const;
  void observe(Table actual);
  void observe(const ServiceKey& key, std::optional<ServiceEntry> actual);
  // The mirror is not to be trusted any more.
  void invalidate() { whole_table_unknown_ = true; }

  // What to send to the kernel now: whole services, about `limit` commands, deletions of services after all else. Empty
  // while the whole table is to be read. To be answered by acknowledge() before anything else is called.
  std::vector<Operation> next(TimePoint now, std::size_t limit);
  Acknowledgement acknowledge(TimePoint now, const std::vector<Operation>& operations,
                              const std::vector<Result<void>>& results);

  // When there is something to do: not later than `now` if at once, nullopt if the kernel holds what is desired.
  [[nodiscard]] std::optional<TimePoint> next_deadline(TimePoint now) const;
  // Nothing is left that was not tried at least once.
  [[nodiscard]] bool caught_up() const;
  // Nothing is left.
  [[nodiscard]] bool converged() const { return wanted_.empty() && !whole_table_unknown_; }

  // Own services as the kernel is known to hold them.
  [[nodiscard]] const Table& mirror() const { return mirror_; }
  // A service that was in the kernel when the table was read, without being own.
  [[nodiscard]] bool is_foreign(const ServiceKey& key) const { return foreign_.contains(key); }
  // What `key` shall be is not known to be in the kernel yet.
  [[nodiscard]] bool is_wanted(const ServiceKey& key) const { return wanted_.contains(key); }
  // Refused so often in a row; 0: not failing.
  [[nodiscard]] unsigned failures(const ServiceKey& key) const;

 private:
  struct Wanted {
    std::optional<ServiceEntry> entry;
    bool unknown = false;   // its mirror is to be read before it is planned
    unsigned failures = 0;  // in a row
    TimePoint retry_at{};
  };

  void settle(const ServiceKey& key);
  void want_as_mirrored(const ServiceKey& key);
  void fail(TimePoint now, const ServiceKey& key, ErrorCode code);
  [[nodiscard]] const ServiceEntry* mirrored(const ServiceKey& key) const;

  Table mirror_;
  std::map<ServiceKey, Wanted> wanted_;
  std::set<ServiceKey> recorded_;
  std::set<ServiceKey> foreign_;
  bool whole_table_unknown_ = true;
};

}  // namespace vipkeeper::ipvs
