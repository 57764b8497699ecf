#include "controller/report/api_answer.h"

#include <nlohmann/json.hpp>

namespace vipkeeper::report {

namespace {

constexpr std::size_t longest_message = 300;

}  // namespace

bool is_passing(const ApiAnswer& answer) {
  return answer.status == 0 || answer.status == 401 || answer.status == 429 ||
         (answer.status >= 500 && answer.retry_after);
}

bool is_forbidden(const ApiAnswer& answer) {
  return answer.status == 403 && answer.text.find("is being terminated") == std::string::npos;
}

std::string message_in(const ApiAnswer& answer) {
  const auto json = nlohmann::json::parse(answer.text, nullptr, false);
  std::string text = answer.text;
  if (json.is_object()) {
    const auto message = json.find("message");
    if (message != json.end() && message->is_string()) text = message->get<std::string>();
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return shortened(text, longest_message);
}

std::string shortened(const std::string& text, std::size_t longest) {
  if (text.size() <= longest) return text;
  while (longest > 0 && (static_cast<unsigned char>(text[longest]) & 0xc0U) == 0x80U) --longest;
  return text.substr(0, longest);
}

}  // namespace vipkeeper::report
