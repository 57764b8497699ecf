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

// Every port of every Service of the entry on every address of it, with endpoints or without. What is missing is
// remarked upon; neither the addresses nor whose a port is depend on it.
Forwarding plan_forwarding(const Entry& entry, const Snapshot& snapshot);

}  // namespace vipkeeper::plan
