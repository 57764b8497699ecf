#include "controller/manifests/directory_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace vipkeeper::manifests {

namespace {

constexpr std::int64_t max_file_bytes = 64 * 1024 * 1024;
constexpr int max_scan_rounds = 10;
// A file that changed less than this ago may be in the middle of being written.
constexpr std::chrono::milliseconds settle_time{20};

constexpr std::int64_t ns(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

FileSignature signature_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_size, ns(status.st_mtim), ns(status.st_ctim)};
}

bool changed_just_now(std::int64_t at) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::llabs(ns(now) - at) < std::chrono::nanoseconds(settle_time).count();
}

std::string error_text(int error) { return std::strerror(error); }

}  // namespace

DirectoryReader::DirectoryReader(std::string path, ReaderCounters& counters, Pause pause)
    : path_(std::move(path)), counters_(counters), pause_(std::move(pause)) {
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
}

bool DirectoryReader::is_manifest(std::string_view name) {
  return !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

std::string DirectoryReader::path_of(const std::string& name) const { return path_ + "/" + name; }

bool DirectoryReader::open() {
  directory_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory_) {
    set_directory_problem({});
    return true;
  }
  const int error = errno;
  if (error == ENOENT) {
    set_directory_problem(
        fmt::format("{} does not exist: create it, or name another directory with --manifests", path_));
  } else if (error == ENOTDIR) {
    set_directory_problem(
        fmt::format("{} is no directory: --manifests takes the directory that holds the files", path_));
  } else {
    set_directory_problem(fmt::format("{} cannot be read: {}", path_, error_text(error)));
  }
  return false;
}

bool DirectoryReader::is_current() const {
  struct stat opened{};
  struct stat named{};
  return directory_ && ::fstat(directory_.get(), &opened) == 0 && ::stat(path_.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

Result<DirectoryReader::Listing> DirectoryReader::list() {
  ++counters_.scans;
  // A description of its own, because the position in the directory belongs to it.
  const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure(ErrorCode::io, error_text(errno));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(fd), ::closedir);
  Listing listing;
  bool links = false;
  while (const dirent* entry = ::readdir(entries.get())) {
    links = links || entry->d_type == DT_LNK;
    if (!is_manifest(entry->d_name)) continue;
    struct stat status{};
    // A link that leads nowhere is listed with an empty signature, so that its reading can say so.
    if (::fstatat(fd, entry->d_name, &status, 0) != 0 &&
        ::fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (S_ISDIR(status.st_mode)) continue;
    listing.emplace(entry->d_name, signature_of(status));
  }
  has_links_ = links;
  return listing;
}

bool DirectoryReader::scan() {
  Listing previous;
  bool agreed = false;
  for (int round = 0; round < max_scan_rounds && !agreed; ++round) {
    auto listing = list();
    if (!listing) {
      set_directory_problem(fmt::format("{} cannot be read: {}", path_, listing.error().message));
      return false;
    }
    agreed = round > 0 && *listing == previous;
    struct stat status{};
    bool unsettled = ::fstat(directory_.get(), &status) != 0 || changed_just_now(ns(status.st_mtim));
    for (const auto& [name, signature] : *listing) {
      const auto found = known_.find(name);
      if (found != known_.end() && found->second == signature) continue;
      if (!agreed && changed_just_now(signature.modified_ns)) {
        unsettled = true;
      } else {
        read(name);
      }
    }
    if (unsettled && !agreed) pause_(settle_time);
    previous = std::move(*listing);
  }
  if (!agreed) return false;
  std::vector<std::string> gone;
  for (const auto& [name, signature] : known_) {
    if (!previous.contains(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) remove(name);
  return true;
}

Result<DirectoryReader::File> DirectoryReader::read_text(const std::string& name) const {
  // O_NONBLOCK: a FIFO of that name must not stop the thread.
  const UniqueFd fd(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::io;
    return failure(code, error_text(errno));
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failure(ErrorCode::io, error_text(errno));
  if (!S_ISREG(status.st_mode)) return failure(ErrorCode::io, "is no regular file");
  if (status.st_size > max_file_bytes) {
    return failure(ErrorCode::io, fmt::format("is larger than {} MiB: split it", max_file_bytes >> 20U));
  }
  File file{{}, signature_of(status)};
  std::size_t filled = 0;
  file.text.resize(static_cast<std::size_t>(status.st_size) + 1);
  while (true) {
    const ssize_t got = ::read(fd.get(), file.text.data() + filled, file.text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(ErrorCode::io, error_text(errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled == file.text.size()) file.text.resize(2 * filled);
  }
  file.text.resize(filled);
  return file;
}

void DirectoryReader::read(const std::string& name) {
  ++counters_.files_read;
  auto file = read_text(name);
  if (file) {
    known_[name] = file->signature;
    unreadable_.erase(name);
    adopt(name, parse_manifest(file->text, name.ends_with(".json")));
    return;
  }
  struct stat status{};
  if (::fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  const bool dangling = file.error().code == ErrorCode::not_found;
  if (dangling && !S_ISLNK(status.st_mode)) return;
  struct stat target{};
  known_[name] = signature_of(::fstatat(directory_.get(), name.c_str(), &target, 0) == 0 ? target : status);
  unreadable_[name] = true;
  set_problems(name, {{true, 0, dangling ? "is a link that leads nowhere" : file.error().message}});
}

void DirectoryReader::adopt(const std::string& name, Manifest manifest) {
  if (!manifest.unreadable) {
    if (manifest.incomplete) {
      // Nothing that the file held goes while one of its documents cannot be understood.
      for (ManifestObject& old : store_.objects_of(name)) {
        const auto same = [&](const ManifestObject& entry) { return entry.key == old.key; };
        if (std::ranges::none_of(manifest.objects, same)) manifest.objects.push_back(std::move(old));
      }
    }
    note_changes(store_.replace(name, std::move(manifest.objects)));
  }
  if (manifest.incomplete) {
    const bool holds = !store_.objects_of(name).empty();
    for (ManifestProblem& problem : manifest.problems) {
      if (problem.error && holds) problem.message += " (its last good objects stay)";
    }
  }
  set_problems(name, std::move(manifest.problems));
}

void DirectoryReader::remove(const std::string& name) {
  known_.erase(name);
  unreadable_.erase(name);
  note_changes(store_.remove(name));
  set_problems(name, {});
}

void DirectoryReader::note_changes(std::vector<objects::ObjectChange> changes) {
  for (objects::ObjectChange& change : changes) changes_[std::move(change.key)] = std::move(change.object);
}

void DirectoryReader::set_problems(const std::string& name, std::vector<ManifestProblem> problems) {
  const auto found = problems_.find(name);
  if (found == problems_.end() ? problems.empty() : found->second == problems) return;
  problems_changed_ = true;
  if (problems.empty()) {
    problems_.erase(found);
  } else {
    problems_[name] = std::move(problems);
  }
}

void DirectoryReader::set_directory_problem(std::string message) {
  if (directory_problem_ == message) return;
  directory_problem_ = std::move(message);
  problems_changed_ = true;
}

bool DirectoryReader::exists(const std::string& name) const {
  return ::faccessat(directory_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool DirectoryReader::note_link(const std::string& name) {
  struct stat status{};
  if (::fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  has_links_ = has_links_ || S_ISLNK(status.st_mode);
  return S_ISLNK(status.st_mode) || (S_ISREG(status.st_mode) && status.st_nlink > 1);
}

bool DirectoryReader::has_news() const {
  return !changes_.empty() || problems_changed_ || store_.shadow_generation() != seen_shadow_generation_;
}

std::vector<objects::SourceProblem> DirectoryReader::all_problems() const {
  std::vector<objects::SourceProblem> all;
  if (!directory_problem_.empty()) all.push_back({true, "manifests " + path_, directory_problem_});
  for (const auto& [name, problems] : problems_) {
    for (const ManifestProblem& problem : problems) {
      // Line 0: the file as a whole.
      const std::string at = problem.line == 0 ? path_of(name) : fmt::format("{}:{}", path_of(name), problem.line);
      all.push_back({problem.error, "manifest " + name, fmt::format("{}: {}", at, problem.message)});
    }
  }
  for (const ObjectStore::Shadowed& shadowed : store_.shadowed()) {
    all.push_back({false, "manifest " + shadowed.files.back(),
                   fmt::format("{} is in {}: the last one stands, remove the others", shadowed.key.to_string(),
                               fmt::join(shadowed.files, ", "))});
  }
  return all;
}

objects::ObjectBatch DirectoryReader::take() {
  seen_shadow_generation_ = store_.shadow_generation();
  objects::ObjectBatch batch;
  batch.changes.reserve(changes_.size());
  for (auto& [key, object] : changes_) batch.changes.push_back({key, std::move(object)});
  changes_.clear();
  batch.problems = all_problems();
  problems_changed_ = false;
  return batch;
}

}  // namespace vipkeeper::manifests
