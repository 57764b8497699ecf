#pragma once

#include <vector>

#include "engine/ipvs/table.h"

namespace vipkeeper::ipvs {

// What turns `actual` into `desired`, for one virtual service; either may be null (absent). Entries are edited in
// place, never deleted and made again, so connections live on. What is added comes before what is deleted, so a service
// is never without real servers in between; where a lookup table is rebuilt by every command (mh), the scheduler is
// bound when there is least to rebuild. Laws: plan(x, x) is empty; apply(actual, plan(actual, desired)) == desired.
std::vector<Operation> plan(const ServiceKey& key, const ServiceEntry* actual, const ServiceEntry* desired);

// The same for whole tables; deletions of services come last. Services in `actual` that are not in `desired` are
// deleted: the caller passes only what is its own.
std::vector<Operation> plan(const Table& actual, const Table& desired);

// What the kernel holds after one command, or after all in order. A command that the kernel would refuse (a destination
// of a service that is not there) changes nothing.
void apply_to(Table& table, const Operation& operation);
Table apply(Table table, const std::vector<Operation>& operations);

}  // namespace vipkeeper::ipvs
