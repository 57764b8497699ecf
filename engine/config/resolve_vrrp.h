#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/config/declared.h"

namespace vipkeeper::config {

// One fragment's part of the VRRP side. Both outlive the call of resolve_vrrp().
struct VrrpSource {
  const Fragment* fragment;
  const ParsedFragment* parsed;
};

// What runs before this text comes; both outlive the call of resolve_vrrp().
struct RunningVrrp {
  const std::vector<std::shared_ptr<const VrrpInstance>>& instances;
  const std::vector<std::shared_ptr<const VrrpScript>>& scripts;
};

// The VRRP side of all fragments together, globals and defaults applied. Its problems are those that no fragment has
// for itself: they come from globals, defaults, two blocks that do not go together, or say that a last good form stays.
struct VrrpSide {
  GlobalDefs globals;
  std::vector<VrrpInstance> instances;
  std::vector<VrrpScript> scripts;
  std::vector<Problem> problems;
};

// Instances and scripts by name. The first of two blocks of one name counts (and the second is an error). A block that
// cannot be used is there in the form that runs under its name, if one does.
VrrpSide resolve_vrrp(std::vector<VrrpSource> sources, const RunningVrrp& running);

// One instance under `globals`. nullopt: it cannot run here; see what was added to `findings`.
std::optional<VrrpInstance> resolve_instance(Findings& findings, const DeclaredInstance& declared,
                                             const DeclaredGlobals& globals);

// What a version 2 or 3 router makes of an interval: whole seconds (RFC 3768), or centiseconds up to 40.95 s (RFC
// 9568).
Duration advert_interval_for(int version, Duration wanted);

}  // namespace vipkeeper::config
