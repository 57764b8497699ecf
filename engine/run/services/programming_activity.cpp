#include "engine/run/services/programming_activity.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace vipkeeper::run {
namespace {

class WatchedTable final : public ipvs::KernelTable {
 public:
  WatchedTable(std::unique_ptr<ipvs::KernelTable> table, Activity& activity)
      : table_(std::move(table)), activity_(activity) {}

  ipvs::TableResult<ipvs::Table> read() override {
    const Activity::Step step(activity_, "the kernel, which is to list its IPVS table");
    return table_->read();
  }
  std::expected<std::optional<ipvs::ServiceEntry>, ipvs::ReadError> read(const ipvs::ServiceKey& key) override {
    const Activity::Step step(activity_, "the kernel, asked for virtual service " + key.to_string());
    return table_->read(key);
  }
  ipvs::Applied apply(const std::vector<ipvs::Operation>& operations) override {
    const Activity::Step step(activity_, fmt::format("the kernel, which has {} IPVS commands", operations.size()));
    return table_->apply(operations);
  }

 private:
  std::unique_ptr<ipvs::KernelTable> table_;
  Activity& activity_;
};

}  // namespace

std::optional<Activity::Doing> Activity::now() const {
  const std::lock_guard lock(mutex_);
  return doing_;
}

void Activity::begin(std::string what) {
  const std::lock_guard lock(mutex_);
  doing_ = {std::move(what), std::chrono::system_clock::now()};
}

void Activity::end() {
  const std::lock_guard lock(mutex_);
  doing_.reset();
}

std::unique_ptr<ipvs::KernelTable> watched(std::unique_ptr<ipvs::KernelTable> table, Activity& activity) {
  return std::make_unique<WatchedTable>(std::move(table), activity);
}

}  // namespace vipkeeper::run
