#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "controller/plan/entry.h"
#include "controller/plan/plan.h"
#include "controller/plan/remarks.h"
#include "controller/plan/snapshot.h"

namespace vipkeeper::plan {

// What stands behind the addresses of one entry.
struct Forwarding {
  VirtualServices virtual_services;
  Remarks remarks;
};

// How many virtual services one entry may ask for: pairs of address and port. It is one line of a ConfigMap that asks,
// and every other entry's change would wait for it.
inline constexpr std::size_t most_pairs = 4096;

// Every port of every Service of the entry on every address of it, with endpoints or without. What is missing is
// remarked upon; neither the addresses nor whose a port is depend on it. A port that would make more than `most_pairs`
// is left out, on all addresses, and so is what follows it.
Forwarding plan_forwarding(const Entry& entry, const Snapshot& snapshot);

}  // namespace vipkeeper::plan
