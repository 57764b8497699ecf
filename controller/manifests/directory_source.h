#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "controller/objects/source.h"
#include "engine/base/result.h"

namespace vipkeeper::manifests {

struct DirectoryOptions {
  // How long the objects of a file that went are kept, so that a file replaced by way of unlink (or moved to another
  // name and written anew) is no gap.
  std::chrono::milliseconds removal_grace{20};
  // How often the path is looked at: has the directory come, or been replaced by another?
  std::chrono::milliseconds check_interval{1000};
};

struct DirectoryCounters {
  std::uint64_t files_read = 0;
  std::uint64_t scans = 0;   // listings of the whole directory
  std::uint64_t events = 0;  // of inotify
  std::uint64_t batches = 0;
};

// Objects of the files *.yaml, *.yml and *.json in one directory (not below it), followed with inotify: see the head of
// directory_source.cpp.
class DirectorySource final : public objects::ObjectSource {
 public:
  explicit DirectorySource(std::string directory, DirectoryOptions options = {});
  ~DirectorySource() override;
  DirectorySource(const DirectorySource&) = delete;
  DirectorySource& operator=(const DirectorySource&) = delete;

  void start(Sink sink) override;
  void stop() override;

  // From any thread.
  [[nodiscard]] DirectoryCounters counters() const;

 private:
  class Watch;
  std::string directory_;
  DirectoryOptions options_;
  std::unique_ptr<Watch> watch_;
};

// The directory's objects now, for the commands that look once. The batch is `synced`; broken files are among its
// problems. Fails when the directory cannot be read.
Result<objects::ObjectBatch> read_directory(const std::string& directory);

}  // namespace vipkeeper::manifests
