#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/entry.h"
#include "controller/plan/plan.h"

namespace vipkeeper::plan {

// Something to tell about an entry; the planner adds which.
struct Remark {
  Severity severity = Severity::warning;
  std::string message;
  bool operator==(const Remark&) const = default;
};

// How a Service is served: entry > annotation vipkeeper.io/OPTION > what the Service says itself > default.
struct ServiceOptions {
  Method method = Method::masquerade;
  std::string scheduler = "wlc";
  std::uint32_t persistence_seconds = 0;
  HealthCheck check = HealthCheck::tcp;
  std::vector<Remark> remarks;  // annotations that were not taken
};

ServiceOptions service_options(const ServiceReference& reference, const objects::Service& service);

// "90s", "30m", "1h" or seconds, up to 31 days (what keepalived takes); nullopt for anything else.
std::optional<std::uint32_t> parse_seconds(std::string_view text);

// A scheduler that linux/ip_vs.h knows.
bool is_scheduler(std::string_view name);

}  // namespace vipkeeper::plan
