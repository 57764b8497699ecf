#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/result.h"
#include "engine/config/config.h"

namespace vipkeeper::loop {

using Fragments = std::vector<std::shared_ptr<const config::Fragment>>;

// Shows the running text at a path (`kubectl exec ... cat /etc/keepalived/keepalived.conf`): composes the fragments in
// order and replaces the file atomically, so that a reader sees one whole configuration. It works on a thread of its
// own, behind the data path; of several texts that come faster than the disk only the newest is written.
class ConfigFile {
 public:
  explicit ConfigFile(std::string path);
  // Writes what is still queued.
  ~ConfigFile();
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;

  // Any thread; never waits for the disk.
  void show(Fragments fragments);
  // Why the file could not be written the last time, with its path; empty: it could.
  [[nodiscard]] std::string problem() const;

 private:
  void write_until_closed();

  const std::string path_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Fragments> queued_;
  bool closed_ = false;
  std::string problem_;
  std::thread thread_;
};

// Replaces `path` by `text` through a temporary file beside it; makes missing parent directories. Mode 0644.
Result<void> replace_file(const std::string& path, const std::string& text);

}  // namespace vipkeeper::loop
