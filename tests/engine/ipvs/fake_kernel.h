#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/ipvs/planner.h"
#include "engine/ipvs/table.h"

namespace vipkeeper::test {

// A kernel as a map: refuses what ip_vs refuses (net/netfilter/ipvs/ip_vs_ctl.c), counts what it is asked, and fails
// where a test says so.
class FakeKernel final : public ipvs::KernelTable {
 public:
  // Asked before each command; an error refuses it.
  std::function<std::optional<Error>(const ipvs::Operation&)> refuse;
  // Set: reading fails with it.
  std::optional<Error> read_error;

  ipvs::Table table;
  std::vector<ipvs::Operation> commands;  // every one it was given
  unsigned table_reads = 0;
  unsigned service_reads = 0;
  unsigned sends = 0;

  Result<ipvs::Table> read() override {
    ++table_reads;
    if (read_error) return std::unexpected(*read_error);
    return table;
  }
  Result<std::optional<ipvs::ServiceEntry>> read(const ipvs::ServiceKey& key) override {
    ++service_reads;
    if (read_error) return std::unexpected(*read_error);
    const auto found = table.find(key);
    return found == table.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<Result<void>> apply(const std::vector<ipvs::Operation>& operations) override {
    ++sends;
    std::vector<Result<void>> results;
    for (const ipvs::Operation& operation : operations) {
      commands.push_back(operation);
      results.push_back(apply_one(operation));
    }
    return results;
  }

 private:
  Result<void> apply_one(const ipvs::Operation& operation) {
    if (refuse)
      if (auto error = refuse(operation)) return std::unexpected(*error);
    const auto service = table.find(ipvs::service_of(operation));
    const bool is_there = service != table.end();
    if (std::holds_alternative<ipvs::AddService>(operation)) {
      if (is_there) return failure(ErrorCode::already_exists, "EEXIST");
    } else if (std::holds_alternative<ipvs::DeleteService>(operation) ||
               std::holds_alternative<ipvs::DeleteDestination>(operation)) {
      // What is gone already is a success.
    } else if (!is_there) {
      return failure(ErrorCode::not_found, "ESRCH");
    } else if (const auto* add = std::get_if<ipvs::AddDestination>(&operation)) {
      if (service->second.destinations.contains(add->key)) return failure(ErrorCode::already_exists, "EEXIST");
    } else if (const auto* set = std::get_if<ipvs::SetDestination>(&operation)) {
      if (!service->second.destinations.contains(set->key)) return failure(ErrorCode::not_found, "ENOENT");
    }
    ipvs::apply_to(table, operation);
    return {};
  }
};

}  // namespace vipkeeper::test
