#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/entry.h"
#include "controller/plan/plan.h"
#include "controller/plan/remarks.h"

namespace vipkeeper::plan {

// How a Service is served: entry > annotation vipkeeper.io/OPTION > what the Service says itself > default.
struct ServiceOptions {
  Method method = Method::masquerade;
  std::string scheduler = "wlc";
  std::uint32_t persistence_seconds = 0;
  Masquerade masquerade = Masquerade::automatic;
  HealthCheck check;
  Remarks remarks;  // annotations that were not taken, and what is not available yet
};

ServiceOptions service_options(const ServiceReference& reference, const objects::Service& service);

}  // namespace vipkeeper::plan
