#include "controller/loop/config_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "engine/base/unique_fd.h"

namespace vipkeeper::loop {

namespace {

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure(ErrorCode::io, fmt::format("{}: {}", path, std::strerror(errno)));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

std::string compose(const Fragments& fragments) {
  std::size_t size = 0;
  for (const auto& fragment : fragments) size += fragment->text.size();
  std::string text;
  text.reserve(size);
  for (const auto& fragment : fragments) text += fragment->text;
  return text;
}

}  // namespace

Result<void> replace_file(const std::string& path, const std::string& text) {
  const auto parent = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // open() says what is wrong, with the name of the file
  if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
  const std::string temporary = path + ".new";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return failure(ErrorCode::io, fmt::format("{}: {}", temporary, std::strerror(errno)));
  if (auto written = write_all(fd.get(), text, temporary); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  fd.reset();
  if (std::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const int error = errno;
  if (error != EBUSY && error != EXDEV) {
    ::unlink(temporary.c_str());
    return failure(ErrorCode::io, fmt::format("{}: {}", path, std::strerror(error)));
  }
  // A file that is itself a mount point (a single-file volume) cannot be renamed over; it is written in place.
  ::unlink(temporary.c_str());
  fd.reset(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!fd) return failure(ErrorCode::io, fmt::format("{}: {}", path, std::strerror(errno)));
  return write_all(fd.get(), text, path);
}

ConfigFile::ConfigFile(std::string path) : path_(std::move(path)), thread_([this] { write_until_closed(); }) {}

ConfigFile::~ConfigFile() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ConfigFile::show(Fragments fragments) {
  {
    const std::lock_guard lock(mutex_);
    queued_ = std::move(fragments);
  }
  changed_.notify_one();
}

std::string ConfigFile::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void ConfigFile::write_until_closed() {
  for (;;) {
    Fragments fragments;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closed_ || queued_; });
      if (!queued_) return;
      fragments = std::move(*queued_);
      queued_.reset();
    }
    const auto written = replace_file(path_, compose(fragments));
    const std::string problem = written ? ""
                                        : fmt::format("cannot show the configuration: {}; choose another --config-file",
                                                      written.error().message);
    const std::lock_guard lock(mutex_);
    if (!problem.empty() && problem != problem_) spdlog::warn("{}", problem);
    problem_ = problem;
  }
}

}  // namespace vipkeeper::loop
