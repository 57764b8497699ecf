#include "controller/plan/remarks.h"

#include <fmt/format.h>

#include <algorithm>

namespace vipkeeper::plan {

void Remarks::add(Severity severity, std::string message) {
  Remark remark{severity, std::move(message)};
  if (std::ranges::find(list_, remark) != list_.end()) return;
  if (list_.size() >= most) {
    if (severity != Severity::error || full_of_errors()) return add_unsaid(severity);
    drop_one();
  }
  list_.push_back(std::move(remark));
}

bool Remarks::full_of_errors() const {
  return list_.size() >= most &&
         std::ranges::all_of(list_, [](const Remark& remark) { return remark.severity == Severity::error; });
}

// Makes room: of the warnings the last goes, else of the errors.
void Remarks::drop_one() {
  auto at = std::ranges::find(list_.rbegin(), list_.rend(), Severity::warning, &Remark::severity);
  if (at == list_.rend()) at = list_.rbegin();
  add_unsaid(at->severity);
  list_.erase(std::next(at).base());
}

void Remarks::add(const Remarks& others) {
  for (const auto& remark : others.list_) add(remark.severity, remark.message);
  if (others.unsaid_ == 0) return;
  unsaid_ += others.unsaid_;
  worst_unsaid_ = std::min(worst_unsaid_, others.worst_unsaid_);
}

void Remarks::add_unsaid(Severity severity) {
  ++unsaid_;
  worst_unsaid_ = std::min(worst_unsaid_, severity);
}

std::vector<Remark> Remarks::list() const {
  if (unsaid_ == 0) return list_;
  Remarks shown = *this;
  if (shown.list_.size() == most) shown.drop_one();
  shown.list_.push_back(
      {shown.worst_unsaid_,
       fmt::format("{} more things are to be said of this entry: mend those that are said first", shown.unsaid_)});
  return std::move(shown.list_);
}

}  // namespace vipkeeper::plan
