#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace vipkeeper {

// What the caller does about a failure, not what failed: the message says that.
enum class ErrorCode {
  invalid_input,  // the user's text is wrong: report it, keep what ran before
  not_found,
  already_exists,
  permission,   // the kernel or the API server says no: name the right that is missing
  unsupported,  // this kernel or build cannot do it: say so once and do without
  unavailable,  // nobody answers: retry later
  io,           // a file, a socket: retry or report
};

struct Error {
  ErrorCode code;
  std::string message;

  // The same failure told from one level further up: "CONTEXT: message".
  [[nodiscard]] Error with_context(std::string_view context) const {
    return {code, std::string(context) + ": " + message};
  }
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> failure(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace vipkeeper
