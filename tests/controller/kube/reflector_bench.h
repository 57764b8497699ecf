#pragma once

#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/kube/reflector.h"

// What tests of the reflector have in common: what a server says, and a reflector on virtual time.
namespace vipkeeper::kube {

inline std::string config_map(const std::string& name, int version, const std::string& value,
                              const std::string& uid = "u1") {
  return fmt::format(
      R"({{"metadata":{{"name":"{}","namespace":"default","uid":"{}","resourceVersion":"{}","managedFields":[{{"f:x":"[}}]"}}]}},"data":{{"v":"{}"}}}})",
      name, uid, version, value);
}

inline std::string list_of(const std::vector<std::string>& items, const std::string& version,
                           const std::string& next = "") {
  std::string text = R"({"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":")" + version + "\"";
  if (!next.empty()) text += R"(,"continue":")" + next + R"(","remainingItemCount":7)";
  text += "},\"items\":[";
  for (std::size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + items[i];
  return text + "]}\n";
}

inline std::string event_line(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

inline std::string bookmark(const std::string& version) {
  return event_line("BOOKMARK", R"({"kind":"ConfigMap","metadata":{"resourceVersion":")" + version + R"("}})");
}

inline std::string status_of(int code, const std::string& reason, const std::string& message = "why") {
  return fmt::format(
      R"({{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{}","reason":"{}","code":{}}})", message,
      reason, code);
}

inline const Resource config_maps{objects::Kind::config_map, "configmaps", "/api/v1/configmaps",
                                  "fieldSelector=metadata.name%3Dx", false};

// A reflector on virtual time, and what it told: NAME=VALUE or "NAME gone".
struct Bench {
  Reflector reflector;
  explicit Bench(Resource resource = config_maps) : reflector(std::move(resource), 7) {}
  TimePoint now{std::chrono::seconds(1000)};
  std::vector<std::string> told;

  Step note(Step step) {
    for (const objects::ObjectChange& change : step.changes) {
      told.push_back(change.object ? change.key.name + "=" + std::get<objects::ConfigMap>(*change.object).data.at("v")
                                   : change.key.name + " gone");
    }
    return step;
  }
  Step start() { return note(reflector.start(now)); }
  Step give(const Event& event) { return note(reflector.handle(now, event)); }

  // A whole answer, in pieces of `cut` bytes.
  Step answer(int status, const std::string& body, std::size_t cut = 7,
              std::optional<std::chrono::seconds> retry_after = std::nullopt) {
    Step last = give(Responded{status, retry_after});
    for (std::size_t at = 0; at < body.size(); at += cut) {
      Step step = give(Received{std::string_view(body).substr(at, cut)});
      if (step.request || step.wait || step.abort) return step;
    }
    return give(Ended{});
  }
  // Until the watch is open.
  void list_and_watch(const std::vector<std::string>& items, const std::string& version) {
    start();
    const Step step = answer(200, list_of(items, version));
    REQUIRE(step.request);
    REQUIRE(step.request->watch);
    give(Responded{200, {}});
  }
  std::vector<std::string> take() { return std::exchange(told, {}); }
};

using Told = std::vector<std::string>;

inline bool has(const Step& step, const std::string& part) {
  return step.request && step.request->target.find(part) != std::string::npos;
}

}  // namespace vipkeeper::kube
