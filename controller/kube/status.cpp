#include "controller/kube/status.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "controller/kube/json_member.h"

namespace vipkeeper::kube {

using nlohmann::json;

namespace {

constexpr std::size_t longest_message = 500;

std::string_view phrase(int status) {
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return "Redirect (not followed: the credentials would go with it)";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 410:
      return "Gone";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

// Somebody else's text, fit for one line of a log.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text.substr(0, longest_message)) {
    line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace

StatusAnswer parse_status(std::string_view body) {
  StatusAnswer answer;
  const json status = json::parse(body, nullptr, false);
  if (!status.is_object() || text_member(status, "kind") != "Status") {
    answer.message = one_line(body);
    return answer;
  }
  const auto code = status.find("code");
  if (code != status.end() && code->is_number_integer()) answer.code = code->get<int>();
  answer.reason = text_member(status, "reason");
  answer.message = one_line(text_member(status, "message"));
  const auto details = status.find("details");
  if (details != status.end() && details->is_object() && details->contains("causes") &&
      (*details)["causes"].is_array()) {
    for (const json& cause : (*details)["causes"]) {
      if (cause.is_object() && text_member(cause, "reason") == "ResourceVersionTooLarge") {
        answer.resource_version_too_large = true;
      }
    }
  }
  // Servers before 1.18 say it in the message alone.
  if (answer.message.find("Too large resource version") != std::string::npos) answer.resource_version_too_large = true;
  return answer;
}

bool is_expired(const StatusAnswer& answer) {
  return answer.code == status_gone || answer.reason == "Expired" || answer.reason == "Gone";
}

std::string describe_status(int status, std::string_view body) {
  const StatusAnswer answer = parse_status(body);
  std::string text = fmt::format("{}", status);
  if (!phrase(status).empty()) text += fmt::format(" {}", phrase(status));
  if (!answer.message.empty()) text += ": " + answer.message;
  return text;
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    if (unreserved) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace vipkeeper::kube
