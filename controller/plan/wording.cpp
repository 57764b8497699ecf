#include "controller/plan/wording.h"

#include <fmt/format.h>

namespace vipkeeper::plan {

std::string config_map_object(const PlanOptions& options) {
  return fmt::format("ConfigMap {}/{}", options.config_map_namespace, options.config_map_name);
}

std::string entry_object(const PlanOptions& options, const std::string& key) {
  std::string shown;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return fmt::format("{} key {}", config_map_object(options), shown);
}

std::vector<Problem> config_map_problems(const Snapshot& snapshot) {
  const auto object = config_map_object(snapshot.options());
  if (snapshot.config_map_deleted()) {
    return {{Severity::error, object,
             "it was deleted: its last entries stay in force; create it again (empty, to give the addresses up)"}};
  }
  if (snapshot.config_map() == nullptr) {
    return {{Severity::warning, object,
             "it does not exist: no address is held; create it, or check "
             "--services-configmap"}};
  }
  return {};
}

Remark clash_remark(const VirtualServiceKey& key, const std::string& winner) {
  return {Severity::error,
          fmt::format("{} is served by the entry {}, whose key sorts first: left out here; use another "
                      "address or port",
                      key.to_string(), quoted(winner))};
}

std::vector<Problem> entry_problems(const std::string& object, const Judgement& judgement, const Forwarding& forwarding,
                                    const std::vector<Remark>& clashes) {
  std::vector<Problem> problems;
  for (const auto* remarks : {&judgement.remarks, &forwarding.remarks, &clashes}) {
    for (const auto& remark : *remarks) problems.push_back({remark.severity, object, remark.message});
  }
  return problems;
}

}  // namespace vipkeeper::plan
