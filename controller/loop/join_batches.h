#pragma once

#include <cstddef>

#include "controller/objects/source.h"

namespace vipkeeper::loop {

// Two batches of one source as one, for a reader that was busy: the changes in order, the newer one's problems. However
// long the reader is busy, what waits grows with the number of objects and not with that of changes: beyond some
// thousand changes only each object's last one is kept, in the order of the last ones.
class BatchJoin {
 public:
  objects::ObjectBatch operator()(objects::ObjectBatch older, objects::ObjectBatch newer);

 private:
  static constexpr std::size_t least = 4096;
  std::size_t limit_ = least;  // twice what was left the last time, so that joining costs the same for each change
};

}  // namespace vipkeeper::loop
