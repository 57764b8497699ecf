#include "cmd/read_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/base/unique_fd.h"

namespace vipkeeper::cmd {

namespace {

// A configuration of 100,000 virtual servers has some 30 MiB; what is larger is a device or a mistake.
constexpr std::size_t largest_file = 64UL << 20;

Error file_error(const std::string& path, int error) {
  const ErrorCode code = error == ENOENT                     ? ErrorCode::not_found
                         : error == EACCES || error == EPERM ? ErrorCode::permission
                                                             : ErrorCode::io;
  return {code, fmt::format("{}: {}", path, std::strerror(error))};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::unexpected(file_error(path, errno));
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(file_error(path, errno));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > largest_file) return failure(ErrorCode::invalid_input, path + ": larger than 64 MiB");
  }
}

}  // namespace vipkeeper::cmd
