#pragma once

#include <vector>

#include "engine/ipvs/table.h"

namespace vipkeeper::ipvs {

// What turns `actual` into `desired`, for one virtual service; either may be null (absent). Order: what is added comes
// before what is deleted, so a service is never without real servers in between. Laws: plan(x, x) is empty;
// apply(actual, plan(actual, desired)) == desired.
std::vector<Operation> plan(const ServiceKey& key, const ServiceEntry* actual, const ServiceEntry* desired);

// The same for whole tables. Services in `actual` that are not in `desired` are deleted: the caller passes only what is
// its own.
std::vector<Operation> plan(const Table& actual, const Table& desired);

// What a kernel that takes every operation then holds. For tests, --dry-run and the mirror.
Table apply(Table table, const std::vector<Operation>& operations);

}  // namespace vipkeeper::ipvs
