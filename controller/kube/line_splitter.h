#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vipkeeper::kube {

// A byte stream to lines, however the bytes were cut into pieces: kube-apiserver packs many events into one HTTP chunk,
// and one event may be cut by any number of chunks. What follows the last newline waits for more.
class LineSplitter {
 public:
  // Calls `take(line)` (without the newline) for each complete line that is not empty; stops when it returns false.
  // False: a line is longer than `longest` bytes, which no object is.
  template <class Take>
  bool feed(std::string_view bytes, Take take) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      if (end == std::string_view::npos) {
        partial_.append(bytes);
        return partial_.size() <= longest;
      }
      std::string_view line = bytes.substr(0, end);
      bytes.remove_prefix(end + 1);
      if (!partial_.empty()) {
        partial_.append(line);
        line = partial_;
      }
      const bool go_on = line.empty() || take(line);
      partial_.clear();
      if (!go_on) return true;
    }
    return true;
  }

  // A stream that ended here was cut inside a line.
  [[nodiscard]] bool has_partial_line() const { return !partial_.empty(); }
  void clear() { partial_ = {}; }

  static constexpr std::size_t longest = 32 * 1024 * 1024;

 private:
  std::string partial_;
};

}  // namespace vipkeeper::kube
