#include "controller/loop/join_batches.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

namespace vipkeeper::loop {

namespace {

using objects::ObjectChange;

std::vector<ObjectChange> last_of_each(std::vector<ObjectChange> changes) {
  const auto before = [](const objects::ObjectKey* one, const objects::ObjectKey* other) { return *one < *other; };
  std::set<const objects::ObjectKey*, decltype(before)> seen(before);
  std::vector<bool> kept(changes.size());
  for (std::size_t i = changes.size(); i-- > 0;) kept[i] = seen.insert(&changes[i].key).second;
  std::vector<ObjectChange> result;
  result.reserve(seen.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (kept[i]) result.push_back(std::move(changes[i]));
  }
  return result;
}

}  // namespace

objects::ObjectBatch BatchJoin::operator()(objects::ObjectBatch older, objects::ObjectBatch newer) {
  older.changes.insert(older.changes.end(), std::make_move_iterator(newer.changes.begin()),
                       std::make_move_iterator(newer.changes.end()));
  if (older.changes.size() > limit_) {
    older.changes = last_of_each(std::move(older.changes));
    limit_ = std::max(least, 2 * older.changes.size());
  }
  older.synced = newer.synced;
  older.problems = std::move(newer.problems);
  return older;
}

}  // namespace vipkeeper::loop
