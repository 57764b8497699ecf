#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "engine/ipvs/kernel_table.h"
#include "engine/ipvs/planner.h"

namespace vipkeeper::ipvs {

// A table that takes every command and tells no kernel: what --dry-run programs.
class DryRunTable final : public KernelTable {
 public:
  // `table`: what a kernel held at the start.
  explicit DryRunTable(Table table) : table_(std::move(table)) {}

  TableResult<Table> read() override { return table_; }
  std::expected<std::optional<ServiceEntry>, ReadError> read(const ServiceKey& key) override {
    const auto found = table_.find(key);
    return found == table_.end() ? std::nullopt : std::optional(found->second);
  }
  Applied apply(const std::vector<Operation>& operations) override {
    for (const Operation& operation : operations) apply_to(table_, operation);
    return {std::vector<std::expected<void, OperationError>>(operations.size()), std::nullopt};
  }

 private:
  Table table_;
};

}  // namespace vipkeeper::ipvs
