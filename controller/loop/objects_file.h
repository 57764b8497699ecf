#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controller/objects/saved_state.h"
#include "engine/base/clock.h"
#include "engine/base/result.h"

namespace vipkeeper::loop {

using GoodTexts = std::map<std::string, std::string>;

struct ObjectsFileOptions {
  std::string path;  // RUN_DIR/objects.json
  objects::StateOrigin origin;
  bool writes = true;  // false: read only (--dry-run)
  // The least time between the end of a writing and the next. Where writing takes long it is a hundred times that, so
  // that it never costs more than a hundredth of a CPU.
  Duration pause = std::chrono::seconds(5);
};

// The last good desired state on disk, for a start while the API server is gone: see saved_state.h for the format. It
// writes on a thread of its own, behind everything: many changes come to one writing, through a temporary file, fsync
// and rename, so that what is there is always whole.
class ObjectsFile {
 public:
  explicit ObjectsFile(ObjectsFileOptions options);
  // Writes what is not on disk yet.
  ~ObjectsFile();
  ObjectsFile(const ObjectsFile&) = delete;
  ObjectsFile& operator=(const ObjectsFile&) = delete;

  // What is there. not_found: nothing. Any other Error says in one line, with the path, why it cannot be used.
  [[nodiscard]] Result<objects::SavedState> read(objects::Wanted wanted) const;

  // Any thread; never waits for the disk. `good_texts`: nullopt if they are as before.
  void note(std::vector<objects::ObjectChange> changes, std::optional<GoodTexts> good_texts);
  // Why it could not be written the last time; empty: it could.
  [[nodiscard]] std::string problem() const;

 private:
  void write_until_closed();
  void take_in(std::vector<objects::ObjectChange> changes);
  [[nodiscard]] Result<void> write(bool flush) const;

  const ObjectsFileOptions options_;

  mutable std::mutex mutex_;  // guards what follows, up to problem_
  std::condition_variable changed_;
  std::vector<objects::ObjectChange> changes_;
  std::optional<GoodTexts> new_good_texts_;
  bool closed_ = false;
  std::string problem_;

  // The thread's own: what is to be written.
  std::map<objects::ObjectKey, std::shared_ptr<const objects::Object>> objects_;
  GoodTexts good_texts_;

  std::thread thread_;
};

}  // namespace vipkeeper::loop
