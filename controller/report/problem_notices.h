#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/report/event_series.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// Who reports.
struct Reporting {
  std::string node;
  std::string config_map_namespace;
  std::string config_map_name;
  std::string pod_namespace;  // of the own pod; empty: not in one
  std::string pod_name;
};

// The problem of an object that every node sees alike: the ConfigMap, a Service. Else it is this node's own.
bool is_of_cluster(const status::Problem& problem);

// The Event of a problem; nullopt for one that no Event can tell of, as that the API server is gone.
std::optional<Notice> problem_notice(const Reporting& who, const status::Problem& problem);

// This node became the holder of a virtual router's addresses, or let them go.
Notice transition_notice(const Reporting& who, const std::string& router, bool active);

// Keeps the standing notices of a series as the problems are.
class ProblemNotices {
 public:
  explicit ProblemNotices(Reporting who) : who_(std::move(who)) {}
  // `speaks`: this node tells of what is the cluster's, too.
  void update(const Moment& at, const std::vector<status::Problem>& problems, bool speaks, EventSeries& series);

 private:
  Reporting who_;
  std::set<Notice> standing_;
};

}  // namespace vipkeeper::report
