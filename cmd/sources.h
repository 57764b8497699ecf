#pragma once

#include <memory>
#include <string>

#include "cmd/flags.h"
#include "controller/objects/source.h"
#include "controller/plan/options.h"
#include "controller/report/reporter.h"
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
  // Where writes to the API server go; empty: there is none.
  virtual report::SendRequest writer() = 0;
  // The API server's URL; empty: there is none.
  [[nodiscard]] virtual std::string server() const = 0;
  // Nothing more comes of either. Any number of times.
  virtual void stop() = 0;
  // Any thread.
  [[nodiscard]] virtual status::Counters counters() const = 0;
};

}  // namespace vipkeeper::cmd
