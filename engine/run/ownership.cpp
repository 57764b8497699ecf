#include "engine/run/ownership.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace vipkeeper::run {
namespace {

Error io_error(const std::string& what, const std::string& path) {
  return {ErrorCode::io, fmt::format("{} {}: {}", what, path, std::generic_category().message(errno))};
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
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::string();
  if (!file) return std::unexpected(io_error("reading", path));
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(io_error("reading", path));
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

}  // namespace

Result<std::unique_ptr<Ownership>> Ownership::open_read_only(const std::string& run_dir) {
  std::unique_ptr<Ownership> record(new Ownership(run_dir + "/owned.json"));
  if (auto loaded = record->load(); !loaded) return std::unexpected(loaded.error());
  return record;
}

Result<std::unique_ptr<Ownership>> Ownership::open(const std::string& run_dir) {
  if (!make_directory(run_dir)) return std::unexpected(io_error("making the directory", run_dir));
  auto record = open_read_only(run_dir);
  if (!record) return record;
  (*record)->writes_ = true;
  if (auto written = (*record)->compact(); !written) return std::unexpected(written.error());
  return record;
}

Result<void> Ownership::load() {
  const auto text = read_file(path_);
  if (!text) return std::unexpected(text.error());
  std::string_view rest = *text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // torn
    if (const auto line = parse_ownership_line(rest.substr(0, end)))
      take(*line);
    else
      problems_.push_back(fmt::format("{}:{}: ignored, {}", path_, number, line.error().message));
    rest.remove_prefix(end + 1);
  }
  return {};
}

// Changes the sets; false: they said so already.
bool Ownership::take(const OwnershipLine& line) {
  if (const auto* key = std::get_if<ipvs::ServiceKey>(&line.what))
    return line.claim ? services_.insert(*key).second : services_.erase(*key) != 0;
  const auto& address = std::get<OwnedAddress>(line.what);
  return line.claim ? addresses_.insert(address).second : addresses_.erase(address) != 0;
}

Result<void> Ownership::compact() {
  std::string text;
  for (const auto& key : services_) text += serialize({true, key}) + "\n";
  for (const auto& address : addresses_) text += serialize({true, address}) + "\n";
  const std::string beside = path_ + ".new";
  UniqueFd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
  if (!file || !write_all(file.get(), text)) return std::unexpected(io_error("writing", beside));
  if (::rename(beside.c_str(), path_.c_str()) != 0) return std::unexpected(io_error("replacing", path_));
  file_ = std::move(file);
  lines_in_file_ = services_.size() + addresses_.size();
  return {};
}

// With the lock held.
Result<void> Ownership::record(std::span<const OwnershipLine> lines) {
  std::string text;
  std::size_t count = 0;
  for (const OwnershipLine& line : lines) {
    if (!take(line)) continue;
    text += serialize(line) + "\n";
    ++count;
  }
  if (!writes_ || count == 0) return {};
  const std::size_t owned = services_.size() + addresses_.size();
  if (!file_ || lines_in_file_ + count > 4 * owned + 1000) return compact();
  lines_in_file_ += count;
  if (write_all(file_.get(), text)) return {};
  const Error error = io_error("writing", path_);
  file_.reset();  // it may end in half a line now, so the next time it is written whole
  return std::unexpected(error);
}

Result<void> Ownership::claim(std::span<const ipvs::ServiceKey> services) {
  std::vector<OwnershipLine> lines;
  for (const auto& key : services) lines.push_back({true, key});
  const std::lock_guard lock(mutex_);
  return record(lines);
}

Result<void> Ownership::release(std::span<const ipvs::ServiceKey> services) {
  std::vector<OwnershipLine> lines;
  for (const auto& key : services) lines.push_back({false, key});
  const std::lock_guard lock(mutex_);
  return record(lines);
}

Result<void> Ownership::claim(const OwnedAddress& address) {
  const std::lock_guard lock(mutex_);
  return record(std::array{OwnershipLine{true, address}});
}

Result<void> Ownership::release(const OwnedAddress& address) {
  const std::lock_guard lock(mutex_);
  return record(std::array{OwnershipLine{false, address}});
}

std::set<ipvs::ServiceKey> Ownership::services() const {
  const std::lock_guard lock(mutex_);
  return services_;
}

std::set<OwnedAddress> Ownership::addresses() const {
  const std::lock_guard lock(mutex_);
  return addresses_;
}

}  // namespace vipkeeper::run
