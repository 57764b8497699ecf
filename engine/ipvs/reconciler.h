#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "engine/base/clock.h"
#include "engine/ipvs/agenda.h"
#include "engine/ipvs/kernel_table.h"

namespace vipkeeper::ipvs {

// Own virtual services: what each shall be and what the kernel is known to hold, and so what is left to be done.
//
// The kernel is the truth, but reading it costs with its size, so what was read and what the kernel acknowledged since
// is kept as a mirror, and one change is planned against the mirror of its one service. A service is kept as "wanted"
// only while it differs from the mirror; what is in the mirror and not wanted otherwise is as it shall be. Own is what
// desire() or adopt() named; everything else in the kernel is foreign and never in a plan.
//
// A failed command is that service's affair: it is tried again later and later, and the others go on. Its mirror is
// read again only if the error says that it was wrong. An error of the table makes the whole mirror worthless.
//
// A list of the table may leave out what is there (KernelTable::read), so an own service that is not listed is in doubt
// rather than gone: it is read by itself, or the next list decides. One that shall not be there is gone once the kernel
// has acknowledged its deletion or said by its key that there is none, and never for want of being listed.
//
// Pure: the caller reads and applies, and hands in the time. One turn of it:
//
//     if (wants_whole_table(now))        observe(table.read())
//     for key in wants_services(now):    observe(key, table.read(key)), or read_failed(now, key)
//     batch = next(now, limit)           acknowledge(now, batch, table.apply(batch))
class Reconciler {
 public:
  // A refusal, for the log. Only the first one of a service in a batch: those after it mostly follow from it.
  struct Failure {
    Operation operation;
    OperationError error;
  };
  struct Acknowledgement {
    std::vector<Failure> failures;
    std::vector<ServiceKey> deleted;        // services that are gone from the kernel now
    std::optional<TableError> table_error;  // everything is to be read again
  };

  Reconciler() = default;
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  // What `key` shall be from now on; nullopt: not there. Planned without delay, also if it was failing.
  void desire(const ServiceKey& key, std::optional<ServiceEntry> desired);

  // These are own if the kernel has them: kept as they are until desire() says what they shall be.
  void adopt(std::set<ServiceKey> keys) { recorded_ = std::move(keys); }

  // The whole table must be read before anything else: at the start, after invalidate(), and where many services would
  // have to be read one by one.
  [[nodiscard]] bool wants_whole_table(TimePoint now) const;
  // Services to be read one by one.
  [[nodiscard]] std::vector<ServiceKey> wants_services(TimePoint now) const { return due_keys(reads(), now); }
  // How many own services are certainly not as they were left, though nobody asked for that.
  std::size_t observe(Table actual);
  // True: likewise.
  bool observe(const ServiceKey& key, std::optional<ServiceEntry> actual);
  // The kernel did not tell of this one: it is asked again later.
  void read_failed(TimePoint now, const ServiceKey& key);
  // The mirror is not to be trusted any more.
  void invalidate() { whole_table_unknown_ = true; }

  // What to send to the kernel now: whole services, about `limit` commands, deletions of services after all else. Empty
  // while the whole table is to be read. To be answered by acknowledge() before anything else is called.
  [[nodiscard]] std::vector<Operation> next(TimePoint now, std::size_t limit) const;
  Acknowledgement acknowledge(TimePoint now, const std::vector<Operation>& operations, const Applied& applied);

  // When there is something to do: not later than `now` if at once, nullopt if the kernel holds what is desired.
  [[nodiscard]] std::optional<TimePoint> next_deadline(TimePoint now) const;
  // Nothing is left that was not tried at least once.
  [[nodiscard]] bool caught_up() const { return !whole_table_unknown_ && untried_ == 0; }
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
  enum Step : std::size_t { read_it, set_it, delete_it };
  struct Wanted {
    std::optional<ServiceEntry> entry;
    bool unknown = false;   // its mirror is to be read before it is planned
    unsigned failures = 0;  // in a row
    TimePoint retry_at{};
    Step step = set_it;  // the agenda that it stands in
  };
  using AllWanted = std::map<ServiceKey, Wanted>;
  // An own service that is not in the mirror and may be in the kernel.
  struct Doubt {
    unsigned lists = 0;      // in a row that did not have it
    bool was_there = false;  // in the mirror before
  };

  [[nodiscard]] const Agenda& reads() const { return agendas_[read_it]; }
  template <class Change>
  void change(AllWanted::iterator at, Change change);
  void enter(AllWanted::iterator at);
  void leave(AllWanted::iterator at);
  void settle(const ServiceKey& key);
  void want_as_mirrored(const ServiceKey& key);
  [[nodiscard]] bool is_to_be_read(const ServiceKey& key) const;
  void acknowledge_one(const Operation& operation);
  void fail(TimePoint now, const Operation& operation, OperationError::Kind kind);
  [[nodiscard]] const ServiceEntry* mirrored(const ServiceKey& key) const;

  Table mirror_;
  AllWanted wanted_;
  std::array<Agenda, 3> agendas_;  // of wanted_, by Step
  std::size_t untried_ = 0;        // in wanted_ without a failure
  std::map<ServiceKey, Doubt> doubts_;
  std::set<ServiceKey> recorded_;
  std::set<ServiceKey> foreign_;
  bool whole_table_unknown_ = true;
};

}  // namespace vipkeeper::ipvs
