#include "controller/plan/service_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vipkeeper::plan {

namespace {

constexpr std::array<std::string_view, 14> schedulers = {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh",
                                                         "sh", "sed", "nq", "fo",  "ovf",  "mh",    "twos"};

std::string scheduler_names() {
  std::string text;
  for (const auto name : schedulers) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

// One annotation's value into the options; what is wrong with it otherwise.
std::string take_annotation(const std::string& name, std::string_view value, ServiceOptions& options) {
  if (name == "method") {
    const auto method = parse_method(value);
    if (!method) return "is none of NAT, DR, TUN and PROXY (in capitals)";
    options.method = *method;
  } else if (name == "scheduler") {
    if (!is_scheduler(value)) return "is none of " + scheduler_names();
    options.scheduler = value;
  } else if (name == "persistence") {
    const auto seconds = parse_seconds(value);
    if (!seconds) return "is no duration of up to 31 days like 90s, 30m, 1h or seconds";
    options.persistence_seconds = *seconds;
  } else if (name == "masquerade") {
    if (value == "always" || value == "never") return "is not available yet: only auto is";
    if (value != "auto") return "is none of auto, always and never";
  } else if (name == "health-check") {
    if (value == "http" || value == "https" || value == "udp") return "is not available yet: only tcp and none are";
    if (value != "tcp" && value != "none") return "is none of tcp, http, https, udp and none";
    options.check = value == "tcp" ? HealthCheck::tcp : HealthCheck::none;
  } else {
    return "is not an option: method, scheduler, persistence, masquerade and health-check are";
  }
  return {};
}

}  // namespace

ServiceOptions service_options(const ServiceReference& reference, const objects::Service& service) {
  ServiceOptions options;
  options.persistence_seconds = service.affinity_seconds.value_or(0);
  for (const auto& [name, value] : service.annotations) {
    const std::string why = take_annotation(name, trimmed(value), options);
    if (why.empty()) continue;
    options.remarks.push_back(
        {Severity::warning, fmt::format("annotation vipkeeper.io/{} of Service {}: {} {}; left out", name,
                                        reference.to_string(), quoted(value), why)});
  }
  if (reference.method) options.method = *reference.method;
  return options;
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

}  // namespace vipkeeper::plan
