#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/plan/forwarding.h"
#include "controller/plan/judge.h"
#include "controller/plan/plan.h"
#include "controller/plan/snapshot.h"

// How problems are put, for the incremental and the whole plan alike.
namespace vipkeeper::plan {

// "ConfigMap default/vip-configmap"
std::string config_map_object(const PlanOptions& options);
// "ConfigMap default/vip-configmap key 10.0.0.50"
std::string entry_object(const PlanOptions& options, const std::string& key);

// A ConfigMap that is not there, or no longer.
std::vector<Problem> config_map_problems(const Snapshot& snapshot);

// The loser's words where two entries claim one virtual service.
void add_clash(Remarks& remarks, const VirtualServiceKey& key, const std::string& winner);

// What an entry that says more of an address than its holder does is told; nothing where the two agree, or it says
// nothing: an address alone goes with everything. The holder is the entry whose key sorts first.
std::optional<Remark> shared_address_remark(const VipAddress& said, const VipAddress& held, const std::string& holder);

// An entry's remarks, as problems of it.
std::vector<Problem> entry_problems(const std::string& object, const Judgement& judgement, const Forwarding& forwarding,
                                    const Remarks& clashes);

}  // namespace vipkeeper::plan
