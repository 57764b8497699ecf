#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/ipvs/table.h"

// The kernel's table behind a seam, and what can go wrong there. An error of the whole table and one of a single
// command are different types, because they ask for opposite things: after the one nothing that was known counts any
// more, after the other everything does but for that command.
namespace vipkeeper::ipvs {

// IPVS as a whole is out of reach: unsupported (no ip_vs), permission, unavailable or io. What the kernel holds is to
// be read again before anything else is done.
struct TableError : Error {};
template <class T>
using TableResult = std::expected<T, TableError>;

// The kernel did not do one command, or did not answer about one service. Everything else is as it was.
struct OperationError {
  enum class Kind : std::uint8_t {
    gone,       // what it changes or adds to is not in the kernel: the table is not what the caller thought
    taken,      // what it adds is there already: likewise
    exhausted,  // the kernel has no memory for it just now: the same command may be taken later
    refused,    // the kernel does not take it as it is
  };
  Kind kind = Kind::refused;
  std::string message;
};
using ReadError = std::variant<TableError, OperationError>;

// What became of a list of commands.
struct Applied {
  // One for each command, in order, up to the first whose end nobody knows.
  std::vector<std::expected<void, OperationError>> answers;
  // Set if those are fewer than the commands.
  std::optional<TableError> table_error;
};

// libnl in engine/net, a map with fault injection in the tests. Used by one thread.
class KernelTable {
 public:
  virtual ~KernelTable() = default;
  // Everything in it, foreign entries included, in normalized form. While someone else writes the table, a kernel may
  // leave out entries that are there: what is not listed is not known to be absent.
  virtual TableResult<Table> read() = 0;
  // One virtual service; nullopt: there is none, which is certain.
  virtual std::expected<std::optional<ServiceEntry>, ReadError> read(const ServiceKey& key) = 0;
  // In order, as few messages as the kernel allows. A failed operation does not stop those after it. Deleting what is
  // not there is a success.
  virtual Applied apply(const std::vector<Operation>& operations) = 0;
};

}  // namespace vipkeeper::ipvs
