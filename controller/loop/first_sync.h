#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "controller/objects/objects.h"

namespace vipkeeper::loop {

// The time before a source has told everything once. What it tells is held until then, because what is not there may
// just not have come; meanwhile objects of an earlier run may be in force. At the end only the difference is left, so
// that what is the same is neither removed nor added again.
class FirstSync {
 public:
  void hold(std::vector<objects::ObjectChange> changes);
  // These are in force from now on, until finish().
  void in_force(const std::vector<objects::ObjectChange>& saved);
  // The source has told everything: what leads from what is in force to what it told.
  std::vector<objects::ObjectChange> finish();

 private:
  std::map<objects::ObjectKey, std::shared_ptr<const objects::Object>> told_;
  std::set<objects::ObjectKey> in_force_;
};

// Objects of an earlier run for this one: the own pod of that run stands for that of this one, which may have another
// name on the same node.
std::vector<objects::ObjectChange> as_own(std::vector<objects::ObjectChange> saved, const std::string& pod_namespace,
                                          const std::string& pod_name);

}  // namespace vipkeeper::loop
