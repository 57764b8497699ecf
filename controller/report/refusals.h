#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// A right that this program does without: what the API server has forbidden, namespace by namespace, is said once and
// tried again after ten minutes, so that a right granted later takes effect. Pure.
class Refusals {
 public:
  // `what`: "Events of this node's problems"; `rule`: "create and patch of events.k8s.io events".
  Refusals(std::string what, std::string rule) : what_(std::move(what)), rule_(std::move(rule)) {}

  // The server said 403 and this.
  void refuse(TimePoint now, const std::string& name_space, const std::string& said);
  void granted(const std::string& name_space) { closed_.erase(name_space); }
  // When to try: not before the result; now or earlier: at once.
  [[nodiscard]] TimePoint opens(const std::string& name_space) const;
  // One warning, whatever the number of namespaces.
  [[nodiscard]] std::vector<status::Problem> problems() const;

 private:
  struct Closed {
    TimePoint until;
    std::string said;
  };
  std::string what_;
  std::string rule_;
  std::map<std::string, Closed> closed_;
};

}  // namespace vipkeeper::report
