#pragma once

#include <memory>

#include "cmd/flags.h"
#include "controller/objects/source.h"
#include "controller/plan/options.h"
#include "engine/base/result.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::cmd {

// Where the objects come from, and what an operator may ask about it.
class Source {
 public:
  // What the flags name: --manifests DIR, else the API server. The Error says what is missing for it.
  static Result<std::unique_ptr<Source>> create(const RunFlags& flags, const plan::PlanOptions& plan);
  virtual ~Source() = default;
  virtual objects::ObjectSource& objects() = 0;
  // Any thread.
  [[nodiscard]] virtual status::Counters counters() const = 0;
};

}  // namespace vipkeeper::cmd
