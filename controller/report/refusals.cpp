#include "controller/report/refusals.h"

#include <fmt/format.h>

namespace vipkeeper::report {

namespace {

constexpr Duration pause = std::chrono::minutes(10);
constexpr std::size_t named = 3;

}  // namespace

void Refusals::refuse(TimePoint now, const std::string& name_space, const std::string& said) {
  auto& closed = closed_[name_space];
  closed.until = now + pause;
  // The first words stay, so that a problem which goes on is one problem.
  if (closed.said.empty()) closed.said = said;
}

TimePoint Refusals::opens(const std::string& name_space) const {
  const auto found = closed_.find(name_space);
  return found == closed_.end() ? TimePoint{} : found->second.until;
}

std::vector<status::Problem> Refusals::problems() const {
  if (closed_.empty()) return {};
  std::string names;
  std::size_t count = 0;
  for (const auto& [name, closed] : closed_) {
    if (count++ == named) {
      names += ", ...";
      break;
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  return {
      {false, "API server",
       fmt::format("{} are not written in {}: {} is forbidden ({}); done without: apply the rule of rbac/, or leave "
                   "it out if that is meant; tried again every 10 minutes",
                   what_, names, rule_, closed_.begin()->second.said)}};
}

}  // namespace vipkeeper::report
