#pragma once

#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "engine/ipvs/kernel_table.h"
#include "engine/ipvs/planner.h"

namespace vipkeeper::test {

// A kernel as a map: refuses what ip_vs refuses (net/netfilter/ipvs/ip_vs_ctl.c), counts what it is asked, and fails
// where a test says so.
class FakeKernel final : public ipvs::KernelTable {
 public:
  using Kind = ipvs::OperationError::Kind;
  using Refusal = std::variant<ipvs::OperationError, ipvs::TableError>;
  // Asked before each command; an error refuses it, one of the table ends the whole list.
  std::function<std::optional<Refusal>(const ipvs::Operation&)> refuse;
  // Set: reading anything fails with it.
  std::optional<ipvs::TableError> read_error;
  // Set: reading this one service fails if it returns an error.
  std::function<std::optional<ipvs::OperationError>(const ipvs::ServiceKey&)> refuse_read;
  // Set: what it says true to is not listed, as when someone else writes the table meanwhile.
  std::function<bool(const ipvs::ServiceKey&)> unlisted;

  ipvs::Table table;
  std::vector<ipvs::Operation> commands;  // every one it was given
  unsigned table_reads = 0;
  unsigned service_reads = 0;
  unsigned sends = 0;

  ipvs::TableResult<ipvs::Table> read() override {
    ++table_reads;
    if (read_error) return std::unexpected(*read_error);
    ipvs::Table listed = table;
    if (unlisted) std::erase_if(listed, [this](const auto& item) { return unlisted(item.first); });
    return listed;
  }
  std::expected<std::optional<ipvs::ServiceEntry>, ipvs::ReadError> read(const ipvs::ServiceKey& key) override {
    ++service_reads;
    if (read_error) return std::unexpected(*read_error);
    if (refuse_read)
      if (auto error = refuse_read(key)) return std::unexpected(*error);
    const auto found = table.find(key);
    return found == table.end() ? std::nullopt : std::optional(found->second);
  }
  ipvs::Applied apply(const std::vector<ipvs::Operation>& operations) override {
    ++sends;
    ipvs::Applied applied;
    for (const ipvs::Operation& operation : operations) {
      commands.push_back(operation);
      auto refusal = refuse ? refuse(operation) : std::nullopt;
      if (refusal && std::holds_alternative<ipvs::TableError>(*refusal)) {
        applied.table_error = std::get<ipvs::TableError>(*refusal);
        break;
      }
      if (refusal)
        applied.answers.emplace_back(std::unexpected(std::get<ipvs::OperationError>(*refusal)));
      else
        applied.answers.push_back(apply_one(operation));
    }
    return applied;
  }

 private:
  std::expected<void, ipvs::OperationError> apply_one(const ipvs::Operation& operation) {
    const auto gone = [](const char* text) { return std::unexpected(ipvs::OperationError{Kind::gone, text}); };
    const auto taken = [] { return std::unexpected(ipvs::OperationError{Kind::taken, "EEXIST"}); };
    const auto service = table.find(ipvs::service_of(operation));
    const bool is_there = service != table.end();
    if (std::holds_alternative<ipvs::AddService>(operation)) {
      if (is_there) return taken();
    } else if (std::holds_alternative<ipvs::DeleteService>(operation) ||
               std::holds_alternative<ipvs::DeleteDestination>(operation)) {
      // What is gone already is a success.
    } else if (!is_there) {
      return gone("ESRCH");
    } else if (const auto* add = std::get_if<ipvs::AddDestination>(&operation)) {
      if (service->second.destinations.contains(add->key)) return taken();
    } else if (const auto* set = std::get_if<ipvs::SetDestination>(&operation)) {
      if (!service->second.destinations.contains(set->key)) return gone("ENOENT");
    }
    ipvs::apply_to(table, operation);
    return {};
  }
};

}  // namespace vipkeeper::test
