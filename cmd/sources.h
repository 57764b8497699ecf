#pragma once

#include <memory>

#include "cmd/flags.h"
#include "controller/objects/source.h"
#include "controller/plan/options.h"
#include "engine/base/result.h"

namespace vipkeeper::cmd {

// The source that the flags name: --manifests DIR, else the API server. The Error says what is missing for either.
Result<std::unique_ptr<objects::ObjectSource>> object_source(const RunFlags& flags, const plan::PlanOptions& plan);

}  // namespace vipkeeper::cmd
