#include "cmd/sources.h"

#include "controller/manifests/directory_source.h"

namespace vipkeeper::cmd {

Result<std::unique_ptr<objects::ObjectSource>> object_source(const RunFlags& flags, const plan::PlanOptions& plan) {
  (void)plan;
  return std::make_unique<manifests::DirectorySource>(flags.manifests);
}

}  // namespace vipkeeper::cmd
