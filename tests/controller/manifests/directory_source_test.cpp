#include "controller/manifests/directory_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <variant>

using namespace vipkeeper;
using namespace vipkeeper::manifests;
namespace fs = std::filesystem;

namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "vipkeeper-manifests-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] fs::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] std::string string() const { return path_.string(); }

 private:
  fs::path path_;
};

std::string object(const std::string& name, const std::string& value) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  v: \"" + value + "\"\n";
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

// Written beside it and renamed into place, as careful writers do.
void replace(const fs::path& path, const std::string& text) {
  const fs::path beside = path.string() + ".tmp";
  write(beside, text);
  fs::rename(beside, path);
}

// What a source has told: the state that all batches make, and every deletion there was.
class Listener {
 public:
  objects::ObjectSource::Sink sink() {
    return [this](objects::ObjectBatch batch) {
      const std::lock_guard lock(mutex_);
      for (const objects::ObjectChange& change : batch.changes) {
        if (change.object) {
          state_[change.key.name] = std::get<objects::ConfigMap>(*change.object).data.at("v");
          ++told_;
        } else {
          state_.erase(change.key.name);
          ++deletions_;
        }
      }
      synced_ = batch.synced;
      problems_ = batch.problems;
      changed_.notify_all();
    };
  }

  using State = std::map<std::string, std::string>;

  // Waits for the state; false after 20 s without it.
  bool becomes(const State& state) {
    return wait([&] { return synced_ && state_ == state; });
  }
  bool has_problem(const std::string& part) {
    return wait([&] {
      return std::ranges::any_of(problems_, [&](const auto& p) { return p.message.find(part) != std::string::npos; });
    });
  }
  bool has_no_problem() {
    return wait([&] { return problems_.empty(); });
  }
  int deletions() {
    const std::lock_guard lock(mutex_);
    return deletions_;
  }
  int told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::vector<objects::SourceProblem> problems() {
    const std::lock_guard lock(mutex_);
    return problems_;
  }

 private:
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  State state_;
  bool synced_ = false;
  int deletions_ = 0;
  int told_ = 0;
  std::vector<objects::SourceProblem> problems_;
};

using State = Listener::State;

}  // namespace

TEST_CASE("a directory's objects are told at start and every change after", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1") + "---\n" + object("y", "1"));
  write(dir / "b.json", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"z"},"data":{"v":"1"}})");
  write(dir / "notes.txt", "not: [read");
  write(dir / ".hidden.yaml", object("hidden", "1"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}, {"y", "1"}, {"z", "1"}}));
  CHECK(listener.has_no_problem());

  write(dir / "a.yaml", object("x", "2") + "---\n" + object("y", "1"));
  REQUIRE(listener.becomes({{"x", "2"}, {"y", "1"}, {"z", "1"}}));
  write(dir / "c.yml", object("w", "1"));
  REQUIRE(listener.becomes({{"w", "1"}, {"x", "2"}, {"y", "1"}, {"z", "1"}}));
  fs::remove(dir / "a.yaml");
  REQUIRE(listener.becomes({{"w", "1"}, {"z", "1"}}));
  CHECK(listener.told() == 5);
  CHECK(listener.deletions() == 2);
}

TEST_CASE("an empty directory is synced with nothing", "[manifests]") {
  const TemporaryDirectory dir;
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  CHECK(listener.becomes({}));
}

TEST_CASE("a file replaced by rename a thousand times is never a gap", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "0"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  for (int i = 1; i <= 1000; ++i) replace(dir / "a.yaml", object("x", std::to_string(i)));
  REQUIRE(listener.becomes({{"x", "1000"}}));
  CHECK(listener.deletions() == 0);
  CHECK(listener.problems().empty());
}

TEST_CASE("a file renamed to another name keeps its objects without a gap", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}}));
  fs::rename(dir / "a.yaml", dir / "b.yaml");
  write(dir / "b.yaml", object("x", "2"));
  REQUIRE(listener.becomes({{"x", "2"}}));
  fs::remove(dir / "b.yaml");
  REQUIRE(listener.becomes({}));
  CHECK(listener.deletions() == 1);
}

TEST_CASE("a file moved away and written anew, as editors do, is no gap", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  Listener listener;
  DirectorySource source(dir.string(), {.removal_grace = std::chrono::seconds(5)});
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}}));
  fs::rename(dir / "a.yaml", dir / "a.yaml~");
  write(dir / "a.yaml", object("x", "2"));
  REQUIRE(listener.becomes({{"x", "2"}}));
  fs::remove(dir / "a.yaml");
  write(dir / "a.yaml", object("x", "3"));
  REQUIRE(listener.becomes({{"x", "3"}}));
  CHECK(listener.deletions() == 0);
}

TEST_CASE("a file is not read before its writer closes it", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  write(dir / "other.yaml", object("o", "1"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"o", "1"}, {"x", "1"}}));
  const auto read_before = source.counters().files_read;
  {
    std::ofstream slow(dir / "a.yaml");
    slow << "apiVersion: v1\nkind: ConfigMap\nmetadata:\n" << std::flush;
    write(dir / "other.yaml", object("o", "2"));  // a later event that is seen for certain
    REQUIRE(listener.becomes({{"o", "2"}, {"x", "1"}}));
    CHECK(source.counters().files_read == read_before + 1);
    slow << "  name: x\ndata:\n  v: \"2\"\n";
  }
  REQUIRE(listener.becomes({{"o", "2"}, {"x", "2"}}));
  CHECK(listener.problems().empty());
}

TEST_CASE("a broken file keeps its last good objects and says file and line", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  write(dir / "b.yaml", object("y", "1"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}, {"y", "1"}}));

  write(dir / "a.yaml", "kind: ConfigMap\nmetadata: {name: x\ndata:\n");
  REQUIRE(listener.has_problem(dir.string() + "/a.yaml:"));
  CHECK(listener.problems()[0].object == "manifest a.yaml");
  CHECK_THAT(listener.problems()[0].message, Catch::Contains("last good objects stay"));
  write(dir / "b.yaml", object("y", "2"));
  REQUIRE(listener.becomes({{"x", "1"}, {"y", "2"}}));

  write(dir / "a.yaml", object("x", "3"));
  REQUIRE(listener.becomes({{"x", "3"}, {"y", "2"}}));
  CHECK(listener.has_no_problem());
  CHECK(listener.deletions() == 0);
}

TEST_CASE("one bad document keeps what the file held and lets the good ones change", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1") + "---\n" + object("y", "1"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}, {"y", "1"}}));
  write(dir / "a.yaml", object("x", "2") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata: [1]\n");
  REQUIRE(listener.becomes({{"x", "2"}, {"y", "1"}}));
  REQUIRE(listener.has_problem("a.yaml:12: ConfigMap default/y: data"));
}

TEST_CASE("the last file name stands for an object that several files hold", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "a"));
  write(dir / "b.yaml", object("x", "b"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "b"}}));
  REQUIRE(listener.has_problem("ConfigMap default/x is in a.yaml, b.yaml: the last one stands"));
  CHECK_FALSE(listener.problems()[0].error);
  fs::remove(dir / "b.yaml");
  REQUIRE(listener.becomes({{"x", "a"}}));
  CHECK(listener.has_no_problem());
  CHECK(listener.deletions() == 0);
}

TEST_CASE("a directory that does not exist is a problem until it comes", "[manifests]") {
  const TemporaryDirectory dir;
  const std::string path = dir / "later";
  Listener listener;
  DirectorySource source(path, {.check_interval = std::chrono::milliseconds(10)});
  source.start(listener.sink());
  REQUIRE(listener.has_problem("later does not exist: create it"));
  fs::create_directory(path);
  write(path + "/a.yaml", object("x", "1"));
  REQUIRE(listener.becomes({{"x", "1"}}));
  CHECK(listener.has_no_problem());
}

TEST_CASE("a file where the directory should be is told as that", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  const auto batch = read_directory(dir / "a.yaml");
  REQUIRE_FALSE(batch);
  CHECK_THAT(batch.error().message, Catch::Contains("is no directory"));
}

TEST_CASE("a directory replaced by another is followed, and one that went keeps its objects", "[manifests]") {
  const TemporaryDirectory dir;
  fs::create_directory(dir / "live");
  fs::create_directory(dir / "next");
  write(dir / "live/a.yaml", object("x", "1"));
  write(dir / "next/a.yaml", object("x", "2"));
  Listener listener;
  DirectorySource source(dir / "live", {.check_interval = std::chrono::milliseconds(10)});
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}}));
  fs::rename(dir / "live", dir / "old");
  REQUIRE(listener.has_problem("does not exist"));
  CHECK(listener.becomes({{"x", "1"}}));
  fs::rename(dir / "next", dir / "live");
  REQUIRE(listener.becomes({{"x", "2"}}));
  CHECK(listener.deletions() == 0);
  write(dir / "live/a.yaml", object("x", "3"));
  REQUIRE(listener.becomes({{"x", "3"}}));
}

TEST_CASE("the links of a mounted ConfigMap volume are followed when ..data is swapped", "[manifests][kubernetes]") {
  const TemporaryDirectory dir;
  fs::create_directory(dir / "..1");
  write(dir / "..1/a.yaml", object("x", "1"));
  fs::create_symlink("..1", dir / "..data");
  fs::create_symlink("..data/a.yaml", dir / "a.yaml");
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}}));
  for (int i = 2; i < 12; ++i) {
    const std::string version = ".." + std::to_string(i);
    fs::create_directory(dir / version);
    write(dir / (version + "/a.yaml"), object("x", std::to_string(i)));
    fs::create_symlink(version, dir / "..data_tmp");
    fs::rename(dir / "..data_tmp", dir / "..data");
    fs::remove_all(dir / (".." + std::to_string(i - 1)));
    REQUIRE(listener.becomes({{"x", std::to_string(i)}}));
  }
  CHECK(listener.deletions() == 0);
}

TEST_CASE("a link that leads nowhere is told and read when it leads somewhere", "[manifests]") {
  const TemporaryDirectory dir;
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({}));
  fs::create_symlink("nowhere", dir / "a.yaml");
  REQUIRE(listener.has_problem("a.yaml: is a link that leads nowhere"));
  write(dir / "somewhere.txt", object("x", "1"));
  fs::create_symlink("somewhere.txt", dir / "tmp");
  fs::rename(dir / "tmp", dir / "a.yaml");
  REQUIRE(listener.becomes({{"x", "1"}}));
  CHECK(listener.has_no_problem());
}

TEST_CASE("what is no regular file is told and does not hold up the rest", "[manifests]") {
  const TemporaryDirectory dir;
  REQUIRE(::mkfifo((dir / "pipe.yaml").c_str(), 0600) == 0);
  fs::create_directory(dir / "folder.yaml");
  write(dir / "a.yaml", object("x", "1"));
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes({{"x", "1"}}));
  CHECK(listener.has_problem("pipe.yaml: is no regular file"));
  CHECK(listener.problems().size() == 1);
}

TEST_CASE("a change of one file among many reads that file and lists nothing", "[manifests][work-is-the-change]") {
  const TemporaryDirectory dir;
  State expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "o" + std::to_string(i);
    write(dir / (name + ".yaml"), object(name, "1"));
    expected[name] = "1";
  }
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  REQUIRE(listener.becomes(expected));
  const DirectoryCounters before = source.counters();
  CHECK(before.files_read == 2000);
  for (int i = 0; i < 10; ++i) {
    expected["o1234"] = "new" + std::to_string(i);
    write(dir / "o1234.yaml", object("o1234", expected["o1234"]));
    REQUIRE(listener.becomes(expected));
  }
  const DirectoryCounters after = source.counters();
  CHECK(after.files_read == before.files_read + 10);
  CHECK(after.scans == before.scans);
}

TEST_CASE("a storm of writers ends in the state of the directory", "[manifests]") {
  const TemporaryDirectory dir;
  Listener listener;
  DirectorySource source(dir.string());
  source.start(listener.sink());
  State expected;
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    const std::string name = "w" + std::to_string(w);
    writers.emplace_back([&dir, name, w] {
      for (int i = 0; i <= 300; ++i) {
        const fs::path path = dir / (name + ".yaml");
        if (w % 2 == 0) {
          write(path, object(name, std::to_string(i)));
        } else {
          replace(path, object(name, std::to_string(i)));
        }
        if (i % 50 == 0 && i != 300) fs::remove(path);
      }
    });
    expected[name] = "300";
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(listener.becomes(expected));
  CHECK(listener.has_no_problem());
}

TEST_CASE("nothing is told after stop and a source can start again", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  Listener first;
  Listener second;
  DirectorySource source(dir.string());
  source.start(first.sink());
  REQUIRE(first.becomes({{"x", "1"}}));
  source.stop();
  write(dir / "a.yaml", object("x", "2"));
  source.start(second.sink());
  REQUIRE(second.becomes({{"x", "2"}}));
  CHECK(first.becomes({{"x", "1"}}));
}

TEST_CASE("read_directory gives the objects and the problems of now", "[manifests]") {
  const TemporaryDirectory dir;
  write(dir / "a.yaml", object("x", "1"));
  write(dir / "b.yaml", "a: [1\n");
  const auto batch = read_directory(dir.string() + "/");
  REQUIRE(batch);
  CHECK(batch->synced);
  REQUIRE(batch->changes.size() == 1);
  CHECK(batch->changes[0].key.to_string() == "ConfigMap default/x");
  REQUIRE(batch->problems.size() == 1);
  CHECK_THAT(batch->problems[0].message, Catch::StartsWith(dir.string() + "/b.yaml:2: not readable as YAML"));
  CHECK_FALSE(read_directory(dir / "absent"));
}
