#pragma once

#include <memory>
#include <vector>

#include "controller/plan/entry.h"
#include "controller/plan/plan.h"
#include "controller/plan/service_options.h"
#include "controller/plan/snapshot.h"

namespace vipkeeper::plan {

// What stands behind the addresses of one entry.
struct Forwarding {
  VirtualServices virtual_services;
  std::vector<Remark> remarks;
};

// Every port of every Service of the entry on every address of it, also where there is no endpoint. What is missing is
// remarked upon; the addresses themselves do not depend on it.
Forwarding plan_forwarding(const Entry& entry, const Snapshot& snapshot);

}  // namespace vipkeeper::plan
