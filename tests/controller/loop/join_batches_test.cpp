#include "controller/loop/join_batches.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

using namespace vipkeeper;
using namespace vipkeeper::loop;
using objects::ObjectBatch;
using objects::ObjectKey;

namespace {

ObjectKey key(int i) { return {objects::Kind::config_map, "default", "o" + std::to_string(i)}; }

// One change, to the value; "" for a deletion.
ObjectBatch change(int i, const std::string& value) {
  std::shared_ptr<const objects::Object> object;
  if (!value.empty()) {
    object = std::make_shared<const objects::Object>(objects::ConfigMap{.data = {{"v", value}}});
  }
  return {.changes = {{key(i), std::move(object)}}, .synced = false, .problems = {}};
}

std::map<ObjectKey, std::string> state_after(const ObjectBatch& batch) {
  std::map<ObjectKey, std::string> state;
  for (const auto& one : batch.changes) {
    if (one.object) {
      state[one.key] = std::get<objects::ConfigMap>(*one.object).data.at("v");
    } else {
      state.erase(one.key);
    }
  }
  return state;
}

}  // namespace

TEST_CASE("few batches are joined change by change, with the newer one's problems", "[loop][queue]") {
  BatchJoin join;
  ObjectBatch newer = change(1, "");
  newer.synced = true;
  newer.problems = {{true, "API server", "new"}};
  ObjectBatch older = change(1, "a");
  older.problems = {{true, "API server", "old"}};
  const ObjectBatch joined = join(std::move(older), std::move(newer));
  REQUIRE(joined.changes.size() == 2);
  CHECK(joined.changes[0].object != nullptr);
  CHECK(joined.changes[1].object == nullptr);
  CHECK(joined.synced);
  CHECK(joined.problems == std::vector<objects::SourceProblem>{{true, "API server", "new"}});
}

TEST_CASE("a reader that is busy for long finds each object's last change, and not all of them", "[loop][queue]") {
  constexpr int objects_count = 100;
  BatchJoin join;
  ObjectBatch waiting;
  std::size_t most = 0;
  std::map<ObjectKey, std::string> state;
  for (int i = 0; i < 50'000; ++i) {
    const int which = (i * 37) % objects_count;
    const std::string value = i % 11 == 0 ? "" : std::to_string(i);
    if (value.empty()) {
      state.erase(key(which));
    } else {
      state[key(which)] = value;
    }
    waiting = join(std::move(waiting), change(which, value));
    most = std::max(most, waiting.changes.size());
  }
  CHECK(most <= 4097);
  CHECK(state_after(waiting) == state);
}

TEST_CASE("as many objects as there are may wait", "[loop][queue]") {
  BatchJoin join;
  ObjectBatch waiting;
  for (int i = 0; i < 20'000; ++i) waiting = join(std::move(waiting), change(i % 9000, std::to_string(i)));
  CHECK(state_after(waiting).size() == 9000);
  CHECK(waiting.changes.size() <= 18'000);
}
