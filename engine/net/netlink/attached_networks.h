#pragma once

#include <vector>

#include "engine/base/result.h"
#include "engine/return_path/near.h"

namespace vipkeeper::net {

// The networks that this host reaches without a gateway, of both families, from the main routing table. Needs no
// rights.
Result<std::vector<return_path::AttachedNetwork>> read_attached_networks();

}  // namespace vipkeeper::net
