#pragma once

#include <array>
#include <cstdint>

#include "engine/status/snapshot.h"

namespace vipkeeper::run {

// What the programming thread counts.
struct ProgrammingCounters {
  // In the order of ipvs::Operation's alternatives; what the kernel acknowledged.
  std::array<std::uint64_t, 6> operations{};
  std::uint64_t kernel_errors = 0;        // commands and reads that failed
  std::uint64_t table_reads = 0;          // of the whole table: at the start, after errors
  std::uint64_t table_audits = 0;         // the same, without a cause
  std::uint64_t service_reads = 0;        // of one virtual service
  std::array<std::uint64_t, 4> checks{};  // in the order of check::Outcome::Kind

  // As "kernel_operations{kind=\"destination_add\"}", "checks{result=\"connected\"}", "kernel_errors", ...
  void add_to(status::Counters& counters) const;
};

}  // namespace vipkeeper::run
