#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "engine/ipvs/planner.h"
#include "engine/ipvs/table.h"

namespace vipkeeper::ipvs {

// A table that takes every command and tells no kernel: what --dry-run programs.
class DryRunTable final : public KernelTable {
 public:
  // `table`: what a kernel held at the start.
  explicit DryRunTable(Table table) : table_(std::move(table)) {}

  Result<Table> read() override { return table_; }
  Result<std::optional<ServiceEntry>> read(const ServiceKey& key) override {
    const auto found = table_.find(key);
    return found == table_.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<Result<void>> apply(const std::vector<Operation>& operations) override {
    for (const Operation& operation : operations) apply_to(table_, operation);
    return std::vector<Result<void>>(operations.size());
  }

 private:
  Table table_;
};

}  // namespace vipkeeper::ipvs
