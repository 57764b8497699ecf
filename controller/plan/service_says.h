#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/plan/plan.h"
#include "controller/plan/yaml_value.h"

namespace vipkeeper::plan {

// What is wrong with a text, each with the field it is about. Of a text that is wrong all over the first are enough.
class Complaints {
 public:
  // "FIELD: WHY", or, of the text as a whole, "WHY".
  void add(std::string_view field, std::string_view why);
  [[nodiscard]] const std::vector<std::string>& list() const { return list_; }

 private:
  std::vector<std::string> list_;
};

// What an entry, or a Service's annotations, say of how the Service is served; what is not said is left to the next in
// precedence.
struct ServiceSays {
  std::optional<Method> method;
  std::optional<std::string> scheduler;
  std::optional<std::uint32_t> persistence_seconds;
  std::optional<Masquerade> masquerade;
  std::optional<HealthCheck> check;
  bool operator==(const ServiceSays&) const = default;
};

// An option by its two names, and what reads its value.
struct ServiceOption {
  std::string_view field;       // in an entry: "healthCheck"
  std::string_view annotation;  // behind vipkeeper.io/: "health-check"
  void (*read)(const YamlValue& value, const std::string& path, ServiceSays& says, Complaints& complaints);
  bool (*said)(const ServiceSays& says);
};

// All of them.
const std::vector<ServiceOption>& all_service_options();

// The words "NAT", "DR", "TUN", "PROXY", exactly.
std::optional<Method> parse_method(std::string_view word);

// "90s", "30m", "1h" or seconds, up to 31 days (what keepalived takes); nullopt for anything else.
std::optional<std::uint32_t> parse_seconds(std::string_view text);

// A scheduler that linux/ip_vs.h knows.
bool is_scheduler(std::string_view name);

// Of a name that is none of `known`: "unknown field "adresses": did you mean addresses?", or which there are. `what`:
// "field".
std::string unknown_name(std::string_view what, std::string_view name, const std::vector<std::string_view>& known);

}  // namespace vipkeeper::plan
