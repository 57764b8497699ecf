#pragma once

#include "engine/router/vrrp_side.h"

// The values that travel to and from the VRRP thread.
namespace vipkeeper::run {

using router::NotifyEvent;
using router::ScriptResult;
using router::VrrpConfig;

}  // namespace vipkeeper::run
