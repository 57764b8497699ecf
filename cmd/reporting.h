#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cmd/sources.h"
#include "controller/loop/controller_loop.h"
#include "controller/plan/options.h"
#include "controller/report/reporter.h"
#include "engine/run/engine.h"

namespace vipkeeper::cmd {

// What tells the API server of Events and statuses; null where there is no API server. `source` and `engine` outlive
// it.
std::unique_ptr<report::Reporter> make_reporter(const plan::PlanOptions& plan, const std::string& node, Source& source,
                                                const run::Engine& engine);

// Hands the controller's news to it; empty for null. `reporter` outlives the function.
std::function<void(loop::PlanNews)> news_to(report::Reporter* reporter);

}  // namespace vipkeeper::cmd
