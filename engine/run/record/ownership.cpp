#include "engine/run/record/ownership.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "engine/run/thread/log.h"

namespace vipkeeper::run {
namespace {

constexpr auto first_pause = std::chrono::seconds(1);
constexpr Duration longest_pause = std::chrono::seconds(60);
// A hundred times that of the largest cluster; the rest is somebody else's file.
constexpr off_t longest_record = 256L << 20U;
// So many of the lines that are not understood are named.
constexpr std::size_t lines_named = 3;

std::string_view remedy_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "make room there";
    case EROFS:
    case EACCES:
    case EPERM:
      return "let vipkeeper write there";
    default:
      return "put that right";
  }
}

Error io_error(std::string_view what, const std::string& path) {
  const int error = errno;
  return {ErrorCode::io, fmt::format("{} {}: {}; {} or choose another --run-dir", what, path,
                                     std::generic_category().message(error), remedy_of(error))};
}

// False, with errno: not everything was written.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

Result<std::string> read_file(const std::string& path) {
  // Not blocking: whoever else has put something there may have put a pipe there.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::string();
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) return std::unexpected(io_error("cannot read", path));
  if (!S_ISREG(status.st_mode))
    return failure(ErrorCode::io, fmt::format("cannot read {}: it is not a file; take it away", path));
  if (status.st_size > longest_record)
    return failure(ErrorCode::io, fmt::format("cannot read {}: no record is that long; take it away", path));
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    // The record's lock is held meanwhile, that is what it is for.
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());  // NOLINT
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(io_error("cannot read", path));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

// mkdir -p; an existing directory is fine.
bool make_directory(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return false;
    if (slash == std::string::npos) return true;
  }
}

// Somebody has removed or replaced it: what is appended to it is nowhere.
bool is_unlinked(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && status.st_nlink == 0;
}

}  // namespace

std::unique_ptr<Ownership> Ownership::open_read_only(const std::string& run_dir) {
  std::unique_ptr<Ownership> record(new Ownership(run_dir, Clock::now, false));
  if (const auto loaded = record->load(); !loaded) record->trouble_ = loaded.error().message;
  return record;
}

std::unique_ptr<Ownership> Ownership::open(const std::string& run_dir, ReadClock clock) {
  std::unique_ptr<Ownership> record(new Ownership(run_dir, std::move(clock), true));
  const std::lock_guard lock(record->mutex_);
  record->try_whole();
  return record;
}

// Changes the sets; false: they said so already.
bool Ownership::Owned::take(const OwnershipLine& line) {
  if (const auto* key = std::get_if<ipvs::ServiceKey>(&line.what))
    return line.claim ? services.insert(*key).second : services.erase(*key) != 0;
  const auto& address = std::get<OwnedAddress>(line.what);
  return line.claim ? addresses.insert(address).second : addresses.erase(address) != 0;
}

// Adds what the file says to what is owned.
Result<void> Ownership::load() {
  const auto text = read_file(path_);
  if (!text) return std::unexpected(text.error());
  Owned recorded;
  std::string named;
  std::size_t ignored = 0;
  std::string_view rest = *text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // torn
    if (const auto line = parse_ownership_line(rest.substr(0, end)))
      recorded.take(*line);
    else if (++ignored <= lines_named)
      named += fmt::format("{}line {}: {}", named.empty() ? "" : "; ", number, line.error().message);
    rest.remove_prefix(end + 1);
  }
  owned_.services.merge(recorded.services);
  owned_.addresses.merge(recorded.addresses);
  is_read_ = true;
  if (ignored == 0) return {};
  std::string told = fmt::format(
      "{}: {} lines are not the record's and were ignored, what they name is not taken for "
      "ours ({}{})",
      path_, ignored, named, ignored > lines_named ? "; ..." : "");
  if (writes_) log_error("ownership record: " + told);
  const std::lock_guard lock(told_mutex_);
  not_understood_ = std::move(told);
  return {};
}

Result<void> Ownership::write_whole() {
  if (!is_read_) {
    if (auto loaded = load(); !loaded) return loaded;
  }
  if (!make_directory(run_dir_)) return std::unexpected(io_error("cannot make the directory", run_dir_));
  std::string text;
  for (const auto& key : owned_.services) text += serialize({true, key}) + "\n";
  for (const auto& address : owned_.addresses) text += serialize({true, address}) + "\n";
  const std::string beside = path_ + ".new";
  // A new file, whatever is left there of an earlier try.
  ::unlink(beside.c_str());
  UniqueFd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644));
  if (!file) return std::unexpected(io_error("cannot write", path_));
  std::optional<Error> error;
  if (!write_all(file.get(), text))
    error = io_error("cannot write", path_);
  else if (::rename(beside.c_str(), path_.c_str()) != 0)
    error = io_error("cannot replace", path_);
  if (error) {
    ::unlink(beside.c_str());  // it takes room where there may be none
    return std::unexpected(*error);
  }
  file_ = std::move(file);
  lines_in_file_ = owned_.size();
  return {};
}

// With the lock held.
void Ownership::try_whole() {
  if (const auto written = write_whole(); !written) return failed(written.error());
  retry_at_.reset();
  pause_ = {};
  tell("");
}

void Ownership::failed(const Error& error) {
  file_.reset();  // it may end in half a line now: nothing may be appended to it
  pause_ = pause_ == Duration::zero() ? Duration(first_pause) : std::min(2 * pause_, longest_pause);
  retry_at_ = clock_() + pause_;
  tell(error.message + ". What this run makes may be left behind after a crash; tried again within 60 s");
}

void Ownership::tell(const std::string& trouble) {
  {
    const std::lock_guard lock(told_mutex_);
    if (trouble == trouble_) return;
    trouble_ = trouble;
  }
  if (trouble.empty())
    log_info("ownership record: " + path_ + " is written again");
  else
    log_error("ownership record: " + trouble);
}

template <class What>
void Ownership::record(bool claim, std::span<const What> all) {
  const std::lock_guard lock(mutex_);
  std::string text;
  std::size_t count = 0;
  for (const What& what : all) {
    const OwnershipLine line{claim, what};
    if (!owned_.take(line)) continue;
    text += serialize(line) + "\n";
    ++count;
  }
  if (!writes_ || count == 0) return;
  if (retry_at_ && clock_() < *retry_at_) return;
  if (!file_ || is_unlinked(file_.get()) || lines_in_file_ + count > 4 * owned_.size() + 1000) return try_whole();
  lines_in_file_ += count;
  if (!write_all(file_.get(), text)) failed(io_error("cannot write", path_));
}

void Ownership::claim(std::span<const ipvs::ServiceKey> services) { record(true, services); }
void Ownership::release(std::span<const ipvs::ServiceKey> services) { record(false, services); }
void Ownership::claim(std::span<const OwnedAddress> addresses) { record(true, addresses); }
void Ownership::release(std::span<const OwnedAddress> addresses) { record(false, addresses); }

void Ownership::retry() {
  const std::lock_guard lock(mutex_);
  if (retry_at_ && *retry_at_ <= clock_()) try_whole();
}

std::optional<TimePoint> Ownership::retry_at() const {
  const std::lock_guard lock(mutex_);
  return retry_at_;
}

std::set<ipvs::ServiceKey> Ownership::services() const {
  const std::lock_guard lock(mutex_);
  return owned_.services;
}

std::set<OwnedAddress> Ownership::addresses() const {
  const std::lock_guard lock(mutex_);
  return owned_.addresses;
}

std::vector<std::string> Ownership::problems() const {
  const std::lock_guard lock(told_mutex_);
  std::vector<std::string> result;
  for (const std::string& problem : {trouble_, not_understood_})
    if (!problem.empty()) result.push_back(problem);
  return result;
}

}  // namespace vipkeeper::run
