#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/ip_address.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/ipvs/table.h"
#include "engine/run/owned_address.h"

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
// All functions from any thread.
class Ownership {
 public:
  // Creates `run_dir` if it is missing. Only one process may use a run_dir at a time; its owner sees to that.
  static Result<std::unique_ptr<Ownership>> open(const std::string& run_dir);
  // The same record without writing anything, for `plan` and dry runs; claims are kept in memory. No file: empty.
  static Result<std::unique_ptr<Ownership>> open_read_only(const std::string& run_dir);

  // Writes what is not there yet (what is no longer there), in one piece. Fails with io if the file cannot be written;
  // the claim then stands in memory only, and the next compaction tries again.
  Result<void> claim(std::span<const ipvs::ServiceKey> services);
  Result<void> release(std::span<const ipvs::ServiceKey> services);
  Result<void> claim(const OwnedAddress& address);
  Result<void> release(const OwnedAddress& address);

  [[nodiscard]] std::set<ipvs::ServiceKey> services() const;
  [[nodiscard]] std::set<OwnedAddress> addresses() const;
  // What was wrong with the file when it was opened: "FILE:LINE: text".
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  explicit Ownership(std::string path) : path_(std::move(path)) {}
  Result<void> load();
  bool take(const OwnershipLine& line);
  Result<void> record(std::span<const OwnershipLine> lines);
  Result<void> compact();

  const std::string path_;
  std::vector<std::string> problems_;

  mutable std::mutex mutex_;  // guards all below
  bool writes_ = false;
  UniqueFd file_;
  std::size_t lines_in_file_ = 0;
  std::set<ipvs::ServiceKey> services_;
  std::set<OwnedAddress> addresses_;
};

}  // namespace vipkeeper::run
