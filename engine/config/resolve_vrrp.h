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

// The VRRP side of all fragments together, globals and defaults applied. Its problems are those that no fragment has
// for itself: they come from globals, defaults, or two blocks that do not go together.
struct VrrpSide {
  GlobalDefs globals;
  std::vector<VrrpInstance> instances;
  std::vector<VrrpScript> scripts;
  std::vector<Problem> problems;
};

// In the order of `sources`; the first of two blocks of one name counts (and the second is an error).
VrrpSide resolve_vrrp(const std::vector<VrrpSource>& sources);

// One instance under `globals`. nullopt: it cannot run here; see what was added to `findings`.
std::optional<VrrpInstance> resolve_instance(Findings& findings, const DeclaredInstance& declared,
                                             const DeclaredGlobals& globals);

// What a version 2 or 3 router makes of an interval: whole seconds (RFC 3768), or centiseconds up to 40.95 s (RFC
// 9568).
Duration advert_interval_for(int version, Duration wanted);

}  // namespace vipkeeper::config
