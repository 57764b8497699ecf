#include "controller/report/problem_notices.h"

#include <catch2/catch.hpp>

using namespace vipkeeper;
using namespace vipkeeper::report;
using namespace std::chrono_literals;

namespace {

const Reporting in_a_pod = {.node = "node1",
                            .config_map_namespace = "kube-system",
                            .config_map_name = "vips",
                            .pod_namespace = "kube-system",
                            .pod_name = "vipkeeper-x"};

ObjectReference object(std::string kind, std::string name_space, std::string name, std::string field_path = "") {
  return {std::move(kind), std::move(name_space), std::move(name), std::move(field_path)};
}

}  // namespace

TEST_CASE("a problem's Event regards the object that it names", "[report][events]") {
  struct Row {
    status::Problem problem;
    Notice notice;
    bool of_cluster;
  };
  const Row rows[] = {
      {{true, "ConfigMap kube-system/vips key 10.0.0.50", "no Service"},
       {true,
        "VipProblem",
        "ServeVips",
        "10.0.0.50: no Service",
        object("ConfigMap", "kube-system", "vips", "data[10.0.0.50]"),
        {}},
       true},
      {{false, "ConfigMap kube-system/vips key a b", "odd"},
       {true, "VipWarning", "ServeVips", "a b: odd", object("ConfigMap", "kube-system", "vips", "data[a b]"), {}},
       true},
      {{true, "ConfigMap kube-system/vips", "it was deleted"},
       {true, "VipProblem", "ServeVips", "it was deleted", object("ConfigMap", "kube-system", "vips"), {}},
       true},
      {{false, "Service default/web", "annotation"},
       {true, "ServiceWarning", "ServeVips", "annotation", object("Service", "default", "web"), {}},
       true},
      {{true, "Node node1", "no address"},
       {true, "NodeProblem", "ServeVips", "node1: no address", object("Node", "", "node1"), {}},
       false},
      {{true, "Pod kube-system/vipkeeper-x", "not seen"},
       {true, "NodeProblem", "ServeVips", "node1: not seen", object("Pod", "kube-system", "vipkeeper-x"), {}},
       false},
      {{true, "IPVS", "this kernel has no IPVS"},
       {true,
        "NodeProblem",
        "ServeVips",
        "node1: IPVS: this kernel has no IPVS",
        object("Pod", "kube-system", "vipkeeper-x"),
        {}},
       false},
      {{true, "Service", "odd"},
       {true, "NodeProblem", "ServeVips", "node1: Service: odd", object("Pod", "kube-system", "vipkeeper-x"), {}},
       false},
      {{true, "Service web", "odd"},
       {true, "NodeProblem", "ServeVips", "node1: Service web: odd", object("Pod", "kube-system", "vipkeeper-x"), {}},
       false},
  };
  for (const auto& row : rows) {
    INFO(row.problem.object);
    const auto notice = problem_notice(in_a_pod, row.problem);
    REQUIRE(notice);
    CHECK(*notice == row.notice);
    CHECK(is_of_cluster(row.problem) == row.of_cluster);
  }
}

TEST_CASE("outside a pod the node stands for what runs on it", "[report][events]") {
  const Reporting bare = {.node = "node1",
                          .config_map_namespace = "default",
                          .config_map_name = "vips",
                          .pod_namespace = "",
                          .pod_name = ""};
  CHECK(problem_notice(bare, {true, "VRRP", "no right"})->regarding == object("Node", "", "node1"));
}

TEST_CASE("no Event tells that the API server is gone", "[report][events]") {
  CHECK_FALSE(problem_notice(in_a_pod, {true, "API server", "does not answer"}));
}

TEST_CASE("becoming the holder and letting go are Events of the ConfigMap, with the node", "[report][events]") {
  const auto became = transition_notice(in_a_pod, "vips", true);
  CHECK(became.reason == "BecameMaster");
  CHECK(became.note == "node1 holds the addresses of virtual router vips");
  CHECK(became.regarding == object("ConfigMap", "kube-system", "vips"));
  CHECK(became.related == object("Node", "", "node1"));
  CHECK_FALSE(became.warning);
  CHECK(transition_notice(in_a_pod, "vips", false).reason == "ReleasedMaster");
}

TEST_CASE("problems of the cluster are told while this node speaks, its own always", "[report][events]") {
  EventSeries series({.instance = "node1"}, 1);
  ProblemNotices notices(in_a_pod);
  const Moment at{TimePoint(1000h), {}};
  const std::vector<status::Problem> problems = {{true, "ConfigMap kube-system/vips key 10.0.0.50", "no Service"},
                                                 {true, "IPVS", "none"}};
  notices.update(at, problems, false, series);
  CHECK(series.size() == 1);
  notices.update(at, problems, true, series);
  CHECK(series.size() == 2);
  // Silent again: the series ends six minutes later, as that of a problem that is mended.
  notices.update(at, problems, false, series);
  const Moment later{at.now + 6min, {}};
  while (const auto request = series.next(later)) series.answered(later, {.status = 201});
  CHECK(series.size() == 1);
  notices.update(later, {}, true, series);
  const Moment end{later.now + 6min, {}};
  while (const auto request = series.next(end)) series.answered(end, {.status = 201});
  CHECK(series.size() == 0);
}
