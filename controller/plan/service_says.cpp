// The options of how a Service is served, one reader each. An entry's fields and a Service's annotations go through the
// same readers, so that a value means the same in both and a wrong one gets the same words.

#include "controller/plan/service_says.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "controller/plan/health_check.h"
#include "controller/plan/user_text.h"
#include "engine/base/nearest.h"

namespace vipkeeper::plan {

namespace {

constexpr std::size_t most_complaints = 20;

constexpr auto schedulers = std::to_array<std::string_view>(
    {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"});

// The text of a single value; else a complaint and nullopt.
std::optional<std::string_view> word(const YamlValue& value, const std::string& path, Complaints& complaints) {
  if (value.type == YamlValue::Type::scalar) return trimmed(value.text);
  complaints.add(path, fmt::format("must be a single value, is {}", describe(value.type)));
  return std::nullopt;
}

void read_method(const YamlValue& value, const std::string& path, ServiceSays& says, Complaints& complaints) {
  const auto text = word(value, path, complaints);
  if (!text) return;
  says.method = parse_method(*text);
  if (!says.method) complaints.add(path, quoted(*text) + " is none of NAT, DR, TUN and PROXY (in capitals)");
}

void read_scheduler(const YamlValue& value, const std::string& path, ServiceSays& says, Complaints& complaints) {
  const auto text = word(value, path, complaints);
  if (!text) return;
  if (is_scheduler(*text)) {
    says.scheduler = *text;
    return;
  }
  const auto meant = nearest(*text, schedulers);
  complaints.add(path, fmt::format("{} is none of {}{}", quoted(*text), fmt::join(schedulers, ", "),
                                   meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

void read_persistence(const YamlValue& value, const std::string& path, ServiceSays& says, Complaints& complaints) {
  const auto text = word(value, path, complaints);
  if (!text) return;
  says.persistence_seconds = parse_seconds(*text);
  if (says.persistence_seconds) return;
  complaints.add(path, quoted(*text) + " is no duration of up to 31 days like 90s, 30m, 1h or seconds");
}

void read_masquerade(const YamlValue& value, const std::string& path, ServiceSays& says, Complaints& complaints) {
  const auto text = word(value, path, complaints);
  if (!text) return;
  if (*text == "auto") says.masquerade = Masquerade::automatic;
  if (*text == "always") says.masquerade = Masquerade::always;
  if (*text == "never") says.masquerade = Masquerade::never;
  if (!says.masquerade) complaints.add(path, quoted(*text) + " is none of auto, always and never");
}

void read_check(const YamlValue& value, const std::string& path, ServiceSays& says, Complaints& complaints) {
  says.check = read_health_check(value, path, complaints);
}

}  // namespace

void Complaints::add(std::string_view field, std::string_view why) {
  if (list_.size() < most_complaints)
    list_.push_back(field.empty() ? std::string(why) : fmt::format("{}: {}", field, why));
}

const std::vector<ServiceOption>& all_service_options() {
  static const std::vector<ServiceOption> options = {
      {"method", "method", read_method, [](const ServiceSays& says) { return says.method.has_value(); }},
      {"scheduler", "scheduler", read_scheduler, [](const ServiceSays& says) { return says.scheduler.has_value(); }},
      {"persistence", "persistence", read_persistence,
       [](const ServiceSays& says) { return says.persistence_seconds.has_value(); }},
      {"masquerade", "masquerade", read_masquerade,
       [](const ServiceSays& says) { return says.masquerade.has_value(); }},
      {"healthCheck", "health-check", read_check, [](const ServiceSays& says) { return says.check.has_value(); }},
  };
  return options;
}

std::optional<Method> parse_method(std::string_view word) {
  for (const Method method : {Method::masquerade, Method::direct, Method::tunnel, Method::proxy}) {
    if (word == to_string(method)) return method;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> parse_seconds(std::string_view text) {
  constexpr std::uint64_t longest = 31ULL * 24 * 3600;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number > longest) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit == "m") {
    number *= 60;
  } else if (unit == "h") {
    number *= 3600;
  } else if (!unit.empty() && unit != "s") {
    return std::nullopt;
  }
  return number <= longest ? std::optional(static_cast<std::uint32_t>(number)) : std::nullopt;
}

bool is_scheduler(std::string_view name) { return std::ranges::find(schedulers, name) != schedulers.end(); }

std::string unknown_name(std::string_view what, std::string_view name, const std::vector<std::string_view>& known) {
  const auto meant = nearest(name, known);
  return meant.empty() ? fmt::format("unknown {} {}: there are {}", what, quoted(name), fmt::join(known, ", "))
                       : fmt::format("unknown {} {}: did you mean {}?", what, quoted(name), meant);
}

}  // namespace vipkeeper::plan
