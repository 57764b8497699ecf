#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/ipvs/table.h"
#include "engine/run/record/owned_address.h"

namespace vipkeeper::run {

// What a line of the record says.
struct OwnershipLine {
  bool claim = true;  // else release
  std::variant<ipvs::ServiceKey, OwnedAddress> what;
  bool operator==(const OwnershipLine&) const = default;
};

// One JSON object, without the line's end:
//   {"claim":"service","protocol":"tcp","address":"192.0.2.10","port":80}
//   {"release":"service","fwmark":7,"family":"ipv4"}
//   {"claim":"address","prefix":"192.0.2.10/32","interface":"eth0"}
std::string serialize(const OwnershipLine& line);
// Strict: exactly these fields in any order, each once; the error says what is wrong.
Result<OwnershipLine> parse_ownership_line(std::string_view text);

// The record of what this program made in the kernel, so that one that comes after a crash knows which virtual services
// and addresses are its own: RUN_DIR/owned.json, one JSON object a line, appended. What is made is claimed before, and
// released after it is gone, so whatever moment a SIGKILL hits, everything of ours is in the record; what is in it and
// not in the kernel does no harm. (A power cut takes the kernel's state with it, so nothing is synced to a disk.)
//
// At open, and when it has grown to much more than what is owned, it is written anew beside and renamed. A last line
// without its end was being written when the process died: what it says was not done yet, it is dropped silently. Other
// lines that are not understood are ignored, and told by problems().
//
// A run directory that is full, read-only or cannot be made costs the record and nothing else: what is owned is kept in
// memory, problems() says so for as long as it is so, and the record is written whole once that works again: tried
// after 1 s, then after twice as long each time, up to 60 s; claims and releases in between do not try. A record that
// is there and cannot be read is not written over, since it may name what is ours: it is read with the next try, and
// what it says is then owned as well.
//
// All functions from any thread. Those that change or read what is owned may wait for the disk; problems() never does.
class Ownership {
 public:
  using ReadClock = std::function<TimePoint()>;

  // Creates `run_dir` if it is missing. Only one process may use a run_dir at a time; its owner sees to that. Problems
  // are logged when they appear, and their end too.
  static std::unique_ptr<Ownership> open(const std::string& run_dir, ReadClock clock = Clock::now);
  // The same record without writing anything, for `plan` and dry runs; claims are kept in memory. No file: empty.
  static std::unique_ptr<Ownership> open_read_only(const std::string& run_dir);

  // Writes what is not there yet (what is no longer there), in one piece. It is owned (no longer owned) from then on
  // whether or not that could be written.
  void claim(std::span<const ipvs::ServiceKey> services);
  void release(std::span<const ipvs::ServiceKey> services);
  void claim(std::span<const OwnedAddress> addresses);
  void release(std::span<const OwnedAddress> addresses);

  // Tries what is due by now. Somebody has to call it no later than retry_at(), or the next claim does it.
  void retry();
  // When what could not be written is tried again; nullopt: all is written.
  [[nodiscard]] std::optional<TimePoint> retry_at() const;

  [[nodiscard]] std::set<ipvs::ServiceKey> services() const;
  [[nodiscard]] std::set<OwnedAddress> addresses() const;
  // What is wrong with the record now: at most that it cannot be read or written, and that it had lines which nobody
  // understands.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  struct Owned {
    std::set<ipvs::ServiceKey> services;
    std::set<OwnedAddress> addresses;
    bool take(const OwnershipLine& line);
    [[nodiscard]] std::size_t size() const { return services.size() + addresses.size(); }
  };

  Ownership(std::string run_dir, ReadClock clock, bool writes)
      : run_dir_(std::move(run_dir)), path_(run_dir_ + "/owned.json"), clock_(std::move(clock)), writes_(writes) {}
  template <class What>
  void record(bool claim, std::span<const What> all);
  Result<void> load();
  Result<void> write_whole();
  void try_whole();
  void failed(const Error& error);
  void tell(const std::string& trouble);

  const std::string run_dir_, path_;
  const ReadClock clock_;
  const bool writes_;

  mutable std::mutex mutex_;  // guards what is between here and the other one; held while writing
  bool is_read_ = false;      // else there is a file that could not be read
  UniqueFd file_;             // invalid: the record has to be written whole, at retry_at_
  std::size_t lines_in_file_ = 0;
  std::optional<TimePoint> retry_at_;
  Duration pause_{};  // before the next try but one
  Owned owned_;

  mutable std::mutex told_mutex_;  // guards the two below; never held while writing
  std::string trouble_;            // why the record cannot be read or written; empty: it can
  std::string not_understood_;     // lines that were ignored; empty: none
};

}  // namespace vipkeeper::run
