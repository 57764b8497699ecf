#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "controller/plan/plan.h"

namespace vipkeeper::plan {

// Something to tell about an entry; the planner adds which.
struct Remark {
  Severity severity = Severity::warning;
  std::string message;
  bool operator==(const Remark&) const = default;
};

// What there is to tell about one entry, in order, each thing once. One entry's text can be wrong in thousands of
// places, and each remark is a line in the log, an Event and a part of `status`: of more than `most` the rest is
// counted in the last one. Errors are told before warnings are.
class Remarks {
 public:
  static constexpr std::size_t most = 20;

  void add(Severity severity, std::string message);
  void add(const Remarks& others);
  // Whether another error would only be counted; who has many to make need not find words for it.
  [[nodiscard]] bool full_of_errors() const;
  // Counts one without words.
  void add_unsaid(Severity severity);
  // At most `most`.
  [[nodiscard]] std::vector<Remark> list() const;
  bool operator==(const Remarks&) const = default;

 private:
  void drop_one();

  std::vector<Remark> list_;  // never more than `most`
  std::size_t unsaid_ = 0;
  Severity worst_unsaid_ = Severity::warning;
};

}  // namespace vipkeeper::plan
