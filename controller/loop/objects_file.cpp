#include "controller/loop/objects_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "engine/base/unique_fd.h"

namespace vipkeeper::loop {

namespace {

constexpr std::size_t block = 256 * 1024;
constexpr off_t longest = 1024L * 1024 * 1024;
// A burst at the start becomes one writing.
constexpr Duration first_pause = std::chrono::milliseconds(500);

std::unexpected<Error> failed(const std::string& path) {
  return failure(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                 fmt::format("{}: {}", path, std::strerror(errno)));
}

// A file that is written in blocks; the first failure is kept.
class BlockFile {
 public:
  explicit BlockFile(const std::string& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (!fd_) note_failure();
  }

  // The buffer to append to.
  std::string& text() {
    if (text_.size() >= block) write_out();
    return text_;
  }

  Result<void> close(bool flush) {
    write_out();
    if (!failure_ && flush && ::fsync(fd_.get()) != 0) note_failure();
    fd_.reset();
    if (failure_) return std::unexpected(*failure_);
    return {};
  }

 private:
  void note_failure() {
    if (!failure_) failure_ = failed(path_).error();
  }

  void write_out() {
    std::string_view rest = text_;
    while (!rest.empty() && !failure_) {
      const ssize_t count = ::write(fd_.get(), rest.data(), rest.size());
      if (count < 0 && errno != EINTR) note_failure();
      if (count > 0) rest.remove_prefix(static_cast<std::size_t>(count));
    }
    text_.clear();
  }

  const std::string& path_;
  UniqueFd fd_;
  std::string text_;
  std::optional<Error> failure_;
};

Result<std::string> read_whole(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) return failed(path);
  if (!S_ISREG(status.st_mode) || status.st_size > longest) {
    return failure(ErrorCode::invalid_input, fmt::format("{}: it is not vipkeeper's", path));
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(fd.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

std::string now_text() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace

ObjectsFile::ObjectsFile(ObjectsFileOptions options) : options_(std::move(options)) {
  if (options_.writes) thread_ = std::thread([this] { write_until_closed(); });
}

ObjectsFile::~ObjectsFile() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Result<objects::SavedState> ObjectsFile::read(objects::Wanted wanted) const {
  const auto text = read_whole(options_.path);
  if (!text) return std::unexpected(text.error());
  auto state = objects::parse_saved_state(*text, options_.origin, wanted);
  if (!state) return std::unexpected(state.error().with_context(options_.path));
  return state;
}

void ObjectsFile::note(std::vector<objects::ObjectChange> changes, std::optional<GoodTexts> good_texts) {
  if (!options_.writes) return;
  {
    const std::lock_guard lock(mutex_);
    changes_.insert(changes_.end(), std::make_move_iterator(changes.begin()), std::make_move_iterator(changes.end()));
    if (good_texts) new_good_texts_ = std::move(good_texts);
  }
  changed_.notify_one();
}

std::string ObjectsFile::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void ObjectsFile::take_in(std::vector<objects::ObjectChange> changes) {
  for (auto& change : changes) {
    if (change.object == nullptr) {
      objects_.erase(change.key);
    } else {
      objects_.insert_or_assign(std::move(change.key), std::move(change.object));
    }
  }
}

void ObjectsFile::write_until_closed() {
  bool stale = false;
  TimePoint next = Clock::now() + first_pause;
  for (;;) {
    std::vector<objects::ObjectChange> changes;
    bool closing = false;
    {
      std::unique_lock lock(mutex_);
      const auto woken = [&] { return closed_ || !changes_.empty() || new_good_texts_; };
      if (stale) {
        changed_.wait_until(lock, next, woken);
      } else {
        changed_.wait(lock, woken);
      }
      stale = stale || !changes_.empty() || new_good_texts_;
      changes.swap(changes_);
      if (new_good_texts_) good_texts_ = std::move(*std::exchange(new_good_texts_, std::nullopt));
      closing = closed_;
    }
    take_in(std::move(changes));
    const TimePoint began = Clock::now();
    if (stale && (closing || began >= next)) {
      // At the end nobody waits for the disk: what a crash of the host leaves of it is found damaged.
      const auto written = write(!closing);
      const TimePoint end = Clock::now();
      next = end + std::max(options_.pause, (end - began) * 100);
      stale = false;
      const std::lock_guard lock(mutex_);
      const std::string before = std::exchange(problem_, written ? "" : written.error().message);
      if (!problem_.empty() && problem_ != before) spdlog::warn("{}", problem_);
    }
    if (closing) return;
  }
}

Result<void> ObjectsFile::write(bool flush) const {
  const std::string temporary = options_.path + ".new";
  const auto done = [&]() -> Result<void> {
    BlockFile file(temporary);
    objects::StateWriter writer;
    writer.begin(file.text(), options_.origin, now_text());
    for (const auto& [key, text] : good_texts_) writer.good_text(file.text(), key, text);
    for (const auto& [key, object] : objects_) writer.object(file.text(), key, *object);
    writer.end(file.text());
    if (auto closed = file.close(flush); !closed) return closed;
    if (std::rename(temporary.c_str(), options_.path.c_str()) != 0) return failed(options_.path);
    return {};
  }();
  if (done) return {};
  ::unlink(temporary.c_str());
  return failure(ErrorCode::io, fmt::format("cannot keep the objects for a start without the API server: {}; choose "
                                            "another --run-dir",
                                            done.error().message));
}

}  // namespace vipkeeper::loop
