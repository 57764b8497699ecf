#pragma once

#include <functional>
#include <string>
#include <vector>

#include "controller/objects/objects.h"

namespace vipkeeper::objects {

// A fault of a source that an operator should see; `object` names the culprit ("manifest web.yaml", "API server").
struct SourceProblem {
  bool error = true;
  std::string object;
  std::string message;
  bool operator==(const SourceProblem&) const = default;
};

// What a source tells the controller loop. Batches of one source come in order; applying them all gives the source's
// state.
struct ObjectBatch {
  std::vector<ObjectChange> changes;
  // Every kind has been listed once. Once true, stays true.
  bool synced = false;
  // All problems the source has now (they replace the earlier ones).
  std::vector<SourceProblem> problems;
};

// Where objects come from: the API server, a directory, or a scripted fake. The sink is called from a thread of the
// source's own and must not block for long. Relists emit only differences, deletions included.
class ObjectSource {
 public:
  using Sink = std::function<void(ObjectBatch)>;
  virtual ~ObjectSource() = default;
  virtual void start(Sink sink) = 0;
  // No call of the sink after it returns.
  virtual void stop() = 0;
};

}  // namespace vipkeeper::objects
