#include "cmd/reporting.h"

#include <random>
#include <utility>

namespace vipkeeper::cmd {

std::unique_ptr<report::Reporter> make_reporter(const plan::PlanOptions& plan, const std::string& node, Source& source,
                                                const run::Engine& engine) {
  auto send = source.writer();
  if (!send) return nullptr;
  return std::make_unique<report::Reporter>(
      report::Reporting{.node = node,
                        .config_map_namespace = plan.config_map_namespace,
                        .config_map_name = plan.config_map_name,
                        .pod_namespace = plan.pod_namespace,
                        .pod_name = plan.pod_name},
      report::ReporterEdges{.send = std::move(send),
                            .read_host =
                                [&engine] {
                                  report::HostReport host{engine.problems(), {}};
                                  for (const auto& router : engine.virtual_routers())
                                    host.routers[router.name] = router.state;
                                  return host;
                                }},
      std::random_device()());
}

std::function<void(loop::PlanNews)> news_to(report::Reporter* reporter) {
  if (reporter == nullptr) return {};
  return [reporter](loop::PlanNews news) {
    report::PlanReport report{
        .problems = std::move(news.problems), .has_router = news.has_router, .first_in_rank = news.first_in_rank};
    for (const auto& [service, balancer] : news.load_balancers) {
      auto& ingress = report.ingress[service];
      if (!balancer) continue;
      ingress.emplace().shown = balancer->shown;
      for (const auto& address : balancer->addresses) ingress->addresses.push_back(address.to_string());
    }
    reporter->plan_changed(std::move(report));
  };
}

}  // namespace vipkeeper::cmd
