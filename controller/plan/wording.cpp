#include "controller/plan/wording.h"

#include <fmt/format.h>

#include "controller/plan/user_text.h"
#include "engine/base/visible_text.h"

namespace vipkeeper::plan {

std::string config_map_object(const PlanOptions& options) {
  return fmt::format("ConfigMap {}/{}", options.config_map_namespace, options.config_map_name);
}

std::string entry_object(const PlanOptions& options, const std::string& key) {
  return fmt::format("{} key {}", config_map_object(options), visible(key));
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

void add_clash(Remarks& remarks, const VirtualServiceKey& key, const std::string& winner) {
  if (remarks.full_of_errors()) return remarks.add_unsaid(Severity::error);
  remarks.add(Severity::error,
              fmt::format("{} is served by the entry {}, whose key sorts first: left out here; use another "
                          "address or port",
                          key.to_string(), quoted(winner)));
}

std::optional<Remark> shared_address_remark(const VipAddress& said, const VipAddress& held, const std::string& holder) {
  const bool other_length =
      said.prefix.length != held.prefix.length && said.prefix.length != said.prefix.address.bit_length();
  const bool other_interface = said.interface != held.interface && !said.interface.empty();
  if (!other_length && !other_interface) return std::nullopt;
  const auto shown = [](const VipAddress& address) {
    return address.prefix.to_string() + (address.interface.empty() ? "" : " on " + address.interface);
  };
  return Remark{Severity::warning,
                fmt::format("{} is held as {}, as the entry {} says, whose key sorts first: let both say the same",
                            shown(said), shown(held), quoted(holder))};
}

std::vector<Problem> entry_problems(const std::string& object, const Judgement& judgement, const Forwarding& forwarding,
                                    const Remarks& clashes) {
  Remarks all = judgement.remarks;
  all.add(forwarding.remarks);
  all.add(clashes);
  std::vector<Problem> problems;
  for (auto& remark : all.list()) problems.push_back({remark.severity, object, std::move(remark.message)});
  return problems;
}

}  // namespace vipkeeper::plan
