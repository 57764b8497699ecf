#include "controller/report/problem_notices.h"

#include <fmt/format.h>

#include <string_view>

namespace vipkeeper::report {

namespace {

constexpr const char* action = "ServeVips";

// "Service default/web" as kind, namespace and name, and what stands behind them.
struct Named {
  std::string kind;
  std::string name_space;
  std::string name;
  std::string_view rest;
};

std::optional<Named> named(std::string_view object) {
  const auto space = object.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto kind = object.substr(0, space);
  if (kind != "ConfigMap" && kind != "Service" && kind != "Node" && kind != "Pod") return std::nullopt;
  object.remove_prefix(space + 1);
  const auto end = std::min(object.find(' '), object.size());
  const auto full = object.substr(0, end);
  const auto slash = full.find('/');
  if ((kind == "Node") != (slash == std::string_view::npos) || full.empty()) return std::nullopt;
  Named result{.kind = std::string(kind), .name_space = {}, .name = std::string(full), .rest = object.substr(end)};
  if (slash != std::string_view::npos) {
    result.name_space = full.substr(0, slash);
    result.name = full.substr(slash + 1);
  }
  return result;
}

ObjectReference own_node(const Reporting& who) { return {.kind = "Node", .name = who.node}; }

// What runs here: the pod, where there is one.
ObjectReference own(const Reporting& who) {
  if (who.pod_name.empty() || who.pod_namespace.empty()) return own_node(who);
  return {.kind = "Pod", .name_space = who.pod_namespace, .name = who.pod_name};
}

}  // namespace

bool is_of_cluster(const status::Problem& problem) {
  const auto object = named(problem.object);
  return object && (object->kind == "ConfigMap" || object->kind == "Service");
}

std::optional<Notice> problem_notice(const Reporting& who, const status::Problem& problem) {
  if (problem.object == "API server") return std::nullopt;
  Notice notice{.warning = true, .reason = {}, .action = action, .note = problem.message, .regarding = own(who)};
  std::string_view subject = "Node";
  if (const auto object = named(problem.object)) {
    notice.regarding = {.kind = object->kind, .name_space = object->name_space, .name = object->name};
    if (object->kind == "ConfigMap") subject = "Vip";
    if (object->kind == "Service") subject = "Service";
    if (object->rest.starts_with(" key ")) {
      const auto key = object->rest.substr(5);
      notice.regarding.field_path = fmt::format("data[{}]", key);
      notice.note = fmt::format("{}: {}", key, problem.message);
    }
  } else {
    notice.note = fmt::format("{}: {}", problem.object, problem.message);
  }
  if (subject == "Node") notice.note = fmt::format("{}: {}", who.node, notice.note);
  notice.reason = fmt::format("{}{}", subject, problem.error ? "Problem" : "Warning");
  return notice;
}

Notice transition_notice(const Reporting& who, const std::string& router, bool active) {
  return {.warning = false,
          .reason = active ? "BecameMaster" : "ReleasedMaster",
          .action = "ElectHolder",
          .note = fmt::format("{} {} the addresses of virtual router {}", who.node, active ? "holds" : "has let go",
                              router),
          .regarding = {.kind = "ConfigMap", .name_space = who.config_map_namespace, .name = who.config_map_name},
          .related = own_node(who)};
}

void ProblemNotices::update(const Moment& at, const std::vector<status::Problem>& problems, bool speaks,
                            EventSeries& series) {
  std::set<Notice> now;
  for (const auto& problem : problems) {
    if (!speaks && is_of_cluster(problem)) continue;
    if (auto notice = problem_notice(who_, problem)) now.insert(std::move(*notice));
  }
  for (const auto& notice : standing_) {
    if (!now.contains(notice)) series.withdraw(at, notice);
  }
  for (const auto& notice : now) {
    if (!standing_.contains(notice)) series.stand(at, notice);
  }
  standing_ = std::move(now);
}

}  // namespace vipkeeper::report
