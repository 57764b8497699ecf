// A directory of manifests as a source of objects.
//
// Owns one thread, one inotify instance and the objects' last good state. The thread waits in poll for events of the
// directory, for the end of a grace time, or for stop().
//
// Work is proportional to the change: an event names a file, exactly that file is read again, and only objects that
// differ from what was told before are told. The whole directory is listed only at start, when the kernel's queue
// overflowed, when the directory itself was replaced, and when a link beside the files was swapped (`..data` of a
// mounted ConfigMap volume). A listing is trusted when a second one agrees with it, because readdir may miss a file
// that is renamed meanwhile.
//
// Which events count:
// - IN_CLOSE_WRITE: a writer is done. IN_MODIFY is not even asked for: half a file is nobody's wish.
// - IN_MOVED_TO: renamed into place, complete.
// - IN_CREATE: only of links (symbolic or hard), which are complete at once; a plain file is read when its writer
// closes it.
// - IN_DELETE, IN_MOVED_FROM: the file's objects go after `removal_grace`, unless the name is back by then. All files
// of a
//   turn are read before any is removed, so an object that moves to another file is never gone in between.
// - IN_ATTRIB: of a file that could not be read (a chmod may be the cure).
// Files linked into the directory by linkat() from an unnamed file (O_TMPFILE) are not told apart from files that are
// being written, and are seen at the next scan only.
//
// Everything that fails leaves the last good objects in place and is a problem until it is mended. If the kernel has no
// inotify instance left, the directory is scanned at each check_interval instead.
//
// Latency from close(2) to the sink: two system calls, the reading and parsing of one file; no timer is involved.

#include "controller/manifests/directory_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "controller/manifests/directory_reader.h"
#include "engine/base/clock.h"
#include "engine/base/unique_fd.h"

namespace vipkeeper::manifests {

namespace {

constexpr std::uint32_t watched_events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                                         IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

int milliseconds_until(TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

}  // namespace

class DirectorySource::Watch {
 public:
  Watch(const std::string& directory, DirectoryOptions options, Sink sink)
      : path_(directory),
        options_(options),
        sink_(std::move(sink)),
        stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        reader_(directory, reader_counters_, [this](std::chrono::milliseconds time) { pause(time); }),
        thread_([this] { run(); }) {}

  ~Watch() {
    const std::uint64_t one = 1;
    stopping_ = true;
    // An eventfd takes 8 bytes or is full; full wakes as well.
    [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  [[nodiscard]] DirectoryCounters counters() const {
    return {reader_counters_.files_read, reader_counters_.scans, events_, batches_};
  }

 private:
  void run() {
    while (!stopping_) {
      if (!attached_) attach();
      if (attached_ && rescan_) {
        absent_.clear();
        scan_again_ = !reader_.scan();
        rescan_ = false;
        scanned_ = true;
      }
      read_named_files();
      remove_absent_files();
      tell();
      wait();
    }
  }

  // Opens the directory and watches it; a directory that is not there is tried again at each check.
  void attach() {
    next_check_ = Clock::now() + options_.check_interval;
    watch_fd_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const int inotify_error = errno;
    if (!reader_.open()) return;
    if (!watch_fd_ || ::inotify_add_watch(watch_fd_.get(), path_.c_str(), watched_events) < 0) {
      const int error = watch_fd_ ? errno : inotify_error;
      watch_fd_.reset();
      reader_.set_directory_problem(path_ + " cannot be watched (" + std::strerror(error) +
                                    "), it is scanned instead: raise fs.inotify.max_user_instances and "
                                    "fs.inotify.max_user_watches");
    }
    // Replaced between opening and watching: the next turn, at once, takes the new one.
    attached_ = reader_.is_current();
    if (!attached_) next_check_ = Clock::now();
    rescan_ = true;
  }

  void wait() {
    TimePoint deadline = next_check_;
    if (attached_) {
      for (const auto& [name, at] : absent_) deadline = std::min(deadline, at);
    }
    std::array<pollfd, 2> waiting{pollfd{stop_.get(), POLLIN, 0}, pollfd{watch_fd_.get(), POLLIN, 0}};
    const int ready = ::poll(waiting.data(), watch_fd_ ? 2 : 1, milliseconds_until(deadline));
    if (ready > 0 && waiting[1].revents != 0) read_events();
    if (Clock::now() >= next_check_) check();
  }

  void check() {
    next_check_ = Clock::now() + options_.check_interval;
    if (attached_ && !reader_.is_current()) attached_ = false;
    if (!watch_fd_ || scan_again_) rescan_ = true;
  }

  void read_events() {
    alignas(inotify_event) std::array<char, 64 * 1024> buffer;
    while (true) {
      const ssize_t got = ::read(watch_fd_.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
        inotify_event event{};
        std::memcpy(&event, buffer.data() + at, sizeof event);
        const std::string name = event.len > 0 ? buffer.data() + at + sizeof event : "";
        handle(event.mask, name);
        at += sizeof event + event.len;
      }
    }
  }

  void handle(std::uint32_t mask, const std::string& name) {
    ++events_;
    if ((mask & IN_Q_OVERFLOW) != 0) rescan_ = true;
    if ((mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) attached_ = false;
    if (name.empty() || (mask & IN_ISDIR) != 0) return;
    if (!DirectoryReader::is_manifest(name)) {
      // Beside links another link may be what they lead through.
      const bool appeared = (mask & (IN_CREATE | IN_MOVED_TO)) != 0 && reader_.note_link(name);
      if (reader_.has_links() && (appeared || (mask & (IN_DELETE | IN_MOVED_FROM)) != 0)) rescan_ = true;
      return;
    }
    if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
      to_read_.erase(name);
      absent_.emplace(name, Clock::now() + options_.removal_grace);
      return;
    }
    const bool link = (mask & (IN_CREATE | IN_MOVED_TO)) != 0 && reader_.note_link(name);
    const bool complete = (mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0 || link ||
                          ((mask & IN_ATTRIB) != 0 && reader_.is_unreadable(name));
    if (!complete) return;
    absent_.erase(name);
    to_read_.insert(name);
  }

  void read_named_files() {
    for (const std::string& name : std::exchange(to_read_, {})) reader_.read(name);
  }

  void remove_absent_files() {
    // Without a directory nothing is known to be gone; the next scan decides.
    if (absent_.empty() || !attached_) return;
    const TimePoint now = Clock::now();
    std::erase_if(absent_, [&](const auto& entry) {
      if (entry.second > now) return false;
      // There again and not closed yet: its objects stay until its writer is done.
      if (!reader_.exists(entry.first)) reader_.remove(entry.first);
      return true;
    });
  }

  void tell() {
    const bool synced = synced_ || scanned_;
    if (!reader_.has_news() && synced == synced_) return;
    synced_ = synced;
    objects::ObjectBatch batch = reader_.take();
    batch.synced = synced_;
    ++batches_;
    sink_(std::move(batch));
  }

  void pause(std::chrono::milliseconds time) {
    pollfd waiting{stop_.get(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(time.count()));
  }

  const std::string path_;
  const DirectoryOptions options_;
  const Sink sink_;
  UniqueFd stop_;
  std::atomic<bool> stopping_ = false;
  ReaderCounters reader_counters_;
  std::atomic<std::uint64_t> events_ = 0;
  std::atomic<std::uint64_t> batches_ = 0;

  // The thread's own.
  DirectoryReader reader_;
  UniqueFd watch_fd_;
  bool attached_ = false;
  bool rescan_ = false;
  bool scan_again_ = false;
  bool scanned_ = false;
  bool synced_ = false;
  TimePoint next_check_;
  std::set<std::string> to_read_;
  std::map<std::string, TimePoint> absent_;

  std::thread thread_;  // last: everything above is there before it runs
};

DirectorySource::DirectorySource(std::string directory, DirectoryOptions options)
    : directory_(std::move(directory)), options_(options) {}

DirectorySource::~DirectorySource() { stop(); }

void DirectorySource::start(Sink sink) { watch_ = std::make_unique<Watch>(directory_, options_, std::move(sink)); }

void DirectorySource::stop() { watch_.reset(); }

DirectoryCounters DirectorySource::counters() const { return watch_ ? watch_->counters() : DirectoryCounters{}; }

Result<objects::ObjectBatch> read_directory(const std::string& directory) {
  ReaderCounters counters;
  DirectoryReader reader(directory, counters,
                         [](std::chrono::milliseconds time) { ::poll(nullptr, 0, static_cast<int>(time.count())); });
  const bool opened = reader.open();
  if (opened) reader.scan();
  objects::ObjectBatch batch = reader.take();
  if (!opened) return failure(ErrorCode::not_found, batch.problems.front().message);
  batch.synced = true;
  return batch;
}

}  // namespace vipkeeper::manifests
