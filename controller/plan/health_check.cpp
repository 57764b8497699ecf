#include "controller/plan/health_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "controller/plan/options.h"
#include "controller/plan/user_text.h"
#include "engine/base/nearest.h"

namespace vipkeeper::plan {

namespace {

constexpr auto types =
    std::to_array<CheckType>({CheckType::tcp, CheckType::http, CheckType::https, CheckType::udp, CheckType::none});

std::optional<CheckType> parse_type(std::string_view word) {
  const auto found = std::ranges::find(types, word, [](CheckType type) { return to_string(type); });
  return found == types.end() ? std::nullopt : std::optional(*found);
}

// One value of the mapping: its field for a message, and what is said when it is wrong.
struct Field {
  const YamlValue& value;
  std::string path;
  Complaints& complaints;

  std::optional<std::string_view> word() const {
    if (value.type == YamlValue::Type::scalar) return trimmed(value.text);
    complaints.add(path, fmt::format("must be a single value, is {}", describe(value.type)));
    return std::nullopt;
  }
  // A whole number, without a sign.
  std::optional<std::uint32_t> number(std::uint32_t low, std::uint32_t high) const {
    const auto text = word();
    if (!text) return std::nullopt;
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    const bool whole = error == std::errc{} && end == text->data() + text->size();
    if (whole && number >= low && number <= high) return number;
    complaints.add(path, fmt::format("must be {} to {}, is {}", low, high, quoted(*text)));
    return std::nullopt;
  }
  std::optional<std::uint32_t> seconds(std::uint32_t low, std::uint32_t high) const {
    const auto text = word();
    if (!text) return std::nullopt;
    const auto duration = parse_seconds(*text);
    if (duration && *duration >= low && *duration <= high) return duration;
    complaints.add(path, fmt::format("must be {} to {} seconds, like 5s or 1m, is {}", low, high, quoted(*text)));
    return std::nullopt;
  }
};

void read_port(const Field& field, HealthCheck& check) {
  check.port = static_cast<std::uint16_t>(field.number(1, 65535).value_or(0));
}
void read_interval(const Field& field, HealthCheck& check) {
  check.interval_seconds = field.seconds(1, 3600).value_or(1);
}
void read_timeout(const Field& field, HealthCheck& check) {
  check.timeout_seconds = field.seconds(1, 3600).value_or(1);
}
void read_retries(const Field& field, HealthCheck& check) { check.retries = field.number(0, 100); }
void read_retry_interval(const Field& field, HealthCheck& check) { check.retry_seconds = field.seconds(0, 3600); }

void read_path(const Field& field, HealthCheck& check) {
  const auto text = field.word();
  if (!text) return;
  check.path = *text;
  if (text->starts_with('/') && is_pasteable(*text, false)) return;
  field.complaints.add(field.path, quoted(*text) + " is no path: begin it with /, without blanks and quotes");
}

void read_host(const Field& field, HealthCheck& check) {
  const auto text = field.word();
  if (!text) return;
  check.host = *text;
  if (is_pasteable(*text, false) && !text->contains('/')) return;
  field.complaints.add(field.path, quoted(*text) + " is no host name");
}

void read_status(const Field& field, HealthCheck& check) {
  check.status = static_cast<std::uint16_t>(field.number(100, 599).value_or(0));
}

struct CheckOption {
  std::string_view name;
  bool http_only;
  void (*read)(const Field& field, HealthCheck& check);
};

constexpr auto options = std::to_array<CheckOption>({{"port", false, read_port},
                                                     {"interval", false, read_interval},
                                                     {"timeout", false, read_timeout},
                                                     {"retries", false, read_retries},
                                                     {"retryInterval", false, read_retry_interval},
                                                     {"path", true, read_path},
                                                     {"host", true, read_host},
                                                     {"status", true, read_status}});

bool belongs(const CheckOption& option, CheckType type) {
  const bool http = type == CheckType::http || type == CheckType::https;
  return type != CheckType::none && (http || !option.http_only);
}

void read_member(const Field& field, std::string_view name, const std::string& whole, HealthCheck& check) {
  const auto* const option = std::ranges::find(options, name, &CheckOption::name);
  if (option == options.end()) {
    std::vector<std::string_view> known = {"type"};
    for (const auto& each : options) known.push_back(each.name);
    field.complaints.add(whole, unknown_name("field", name, known));
  } else if (!belongs(*option, check.type)) {
    field.complaints.add(field.path, fmt::format("a check of type {} has no such option", to_string(check.type)));
  } else if (field.value.type != YamlValue::Type::null) {
    option->read(field, check);
  }
}

}  // namespace

std::optional<HealthCheck> read_health_check(const YamlValue& value, const std::string& path, Complaints& complaints) {
  const auto before = complaints.list().size();
  const auto read_type = [&](const Field& field, HealthCheck& check) {
    const auto text = field.word();
    if (!text) return;
    const auto type = parse_type(*text);
    check.type = type.value_or(CheckType::tcp);
    if (!type) complaints.add(field.path, quoted(*text) + " is none of tcp, http, https, udp and none");
  };
  HealthCheck check;
  if (value.type != YamlValue::Type::mapping) {
    read_type({value, path, complaints}, check);
  } else {
    // First, whichever place it has: the other options depend on it.
    for (const auto& [name, member] : value.members) {
      if (name == "type" && member.type != YamlValue::Type::null)
        read_type({member, path + ".type", complaints}, check);
    }
    if (complaints.list().size() != before) return std::nullopt;
    for (const auto& [name, member] : value.members) {
      if (name != "type") read_member({member, path + "." + one_line(name), complaints}, name, path, check);
    }
  }
  if (complaints.list().size() != before) return std::nullopt;
  return check;
}

std::string_view to_string(CheckType type) {
  switch (type) {
    case CheckType::tcp:
      return "tcp";
    case CheckType::http:
      return "http";
    case CheckType::https:
      return "https";
    case CheckType::udp:
      return "udp";
    case CheckType::none:
      return "none";
  }
  return "?";
}

}  // namespace vipkeeper::plan
