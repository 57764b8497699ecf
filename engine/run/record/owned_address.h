#pragma once

#include "engine/host/table.h"

namespace vipkeeper::run {

using host::OwnedAddress;

}  // namespace vipkeeper::run
