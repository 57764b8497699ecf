#pragma once

#include <string>
#include <string_view>

namespace vipkeeper::kube {

// What an error answer says: the message of a Status object, or the body's text (API Priority and Fairness and a server
// that is shutting down send plain text).
struct StatusAnswer {
  int code = 0;        // the Status' own code, else 0
  std::string reason;  // "Expired", "Forbidden", ...
  std::string message;
  bool resource_version_too_large = false;
};

StatusAnswer parse_status(std::string_view body);

// The resourceVersion that was asked for is too old. ("Gone" is what servers up to 1.17 said.)
bool is_expired(const StatusAnswer& answer);

// The codes that mean something of their own to a client.
inline constexpr int status_ok = 200;
inline constexpr int status_unauthorized = 401;
inline constexpr int status_forbidden = 403;
inline constexpr int status_not_found = 404;
inline constexpr int status_gone = 410;
inline constexpr int status_too_many = 429;
inline constexpr int status_server_error = 500;
inline constexpr int status_timeout = 504;

// "403 Forbidden: services is forbidden: ..."
std::string describe_status(int status, std::string_view body);

// For a path or a query's value: everything but RFC 3986's unreserved characters.
std::string percent_encode(std::string_view text);

}  // namespace vipkeeper::kube
