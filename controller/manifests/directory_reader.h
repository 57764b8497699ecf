#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/manifests/manifest.h"
#include "controller/manifests/object_store.h"
#include "controller/objects/source.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace vipkeeper::manifests {

// What tells two states of one file apart without reading it.
struct FileSignature {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;  // wall clock
  std::int64_t changed_ns = 0;
  bool operator==(const FileSignature&) const = default;
};

// Read by any thread.
struct ReaderCounters {
  std::atomic<std::uint64_t> files_read = 0;
  std::atomic<std::uint64_t> scans = 0;
};

// The objects of one directory as they were last read, and what changed since take() was last called. It reads when it
// is told to (a file, or everything that differs from what it knows); watching is the caller's business. For one
// thread.
class DirectoryReader {
 public:
  // Called between two scans when a file changed just now; returns after about that time.
  using Pause = std::function<void(std::chrono::milliseconds)>;

  DirectoryReader(std::string path, ReaderCounters& counters, Pause pause);

  // *.yaml, *.yml and *.json that do not begin with a dot.
  static bool is_manifest(std::string_view name);

  // Opens the directory (again). On failure what is known stays, and a problem says how to help.
  bool open();
  // False when the path leads to another directory than the one opened, or to none.
  [[nodiscard]] bool is_current() const;

  // Scans the directory until two scans agree, reads each file that is not as known, then removes those that are gone.
  // False: the scans never agreed (or the directory cannot be listed), and nothing was removed; scan again later.
  bool scan();
  // Reads one file. One that is not there changes nothing: its removal is told by remove().
  void read(const std::string& name);
  void remove(const std::string& name);

  [[nodiscard]] bool exists(const std::string& name) const;
  // Is it a link, symbolic or a further name of a file, and so complete as soon as it is there? Remembers symbolic
  // ones.
  bool note_link(const std::string& name);
  [[nodiscard]] bool has_links() const { return has_links_; }
  [[nodiscard]] bool is_unreadable(const std::string& name) const { return unreadable_.contains(name); }

  // A problem of the directory itself, shown with those of its files; empty takes it away.
  void set_directory_problem(std::string message);

  [[nodiscard]] bool has_news() const;
  // Everything that changed since the last call, each object once, and all problems there are now. `synced` is false.
  objects::ObjectBatch take();

 private:
  struct File {
    std::string text;
    FileSignature signature;
  };
  using Listing = std::map<std::string, FileSignature>;

  [[nodiscard]] Result<Listing> list();
  [[nodiscard]] Result<File> read_text(const std::string& name) const;
  void adopt(const std::string& name, Manifest manifest);
  void note_changes(std::vector<objects::ObjectChange> changes);
  void set_problems(const std::string& name, std::vector<ManifestProblem> problems);
  [[nodiscard]] std::string path_of(const std::string& name) const;
  [[nodiscard]] std::vector<objects::SourceProblem> all_problems() const;

  std::string path_;
  ReaderCounters& counters_;
  Pause pause_;
  UniqueFd directory_;
  Listing known_;
  std::map<std::string, bool> unreadable_;
  bool has_links_ = false;
  ObjectStore store_;
  std::map<objects::ObjectKey, std::shared_ptr<const objects::Object>> changes_;
  std::map<std::string, std::vector<ManifestProblem>> problems_;
  std::string directory_problem_;
  bool problems_changed_ = false;
  std::size_t seen_shadow_generation_ = 0;
};

}  // namespace vipkeeper::manifests
