#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/plan/plan.h"
#include "engine/base/ip_address.h"
#include "engine/base/result.h"

namespace vipkeeper::plan {

// A Service that an entry puts behind its addresses, and what the entry says about it. What it does not say comes from
// the Service's annotations, the Service itself, the default.
struct ServiceReference {
  std::string name_space;
  std::string name;
  std::optional<Method> method;

  // "default/web"
  [[nodiscard]] std::string to_string() const { return name_space + "/" + name; }
  bool operator==(const ServiceReference&) const = default;
};

// One well-formed entry of the ConfigMap.
struct Entry {
  std::vector<IpPrefix> addresses;         // never empty
  std::vector<ServiceReference> services;  // none: a bare VIP
  // What was taken other than it was meant, in words for the user.
  std::vector<std::string> warnings;
  bool operator==(const Entry&) const = default;
};

// Reads one key and value of the ConfigMap, or says what is wrong with it and what would be right. Judges the form
// alone: whether the address may be a VIP is judge_address()'s.
Result<Entry> parse_entry(std::string_view key, std::string_view value);

// The words "NAT", "DR", "TUN", "PROXY", exactly.
std::optional<Method> parse_method(std::string_view word);

// Without white space around.
std::string_view trimmed(std::string_view text);

// User's text as a message may show it: on one line, short, control characters replaced.
std::string one_line(std::string_view text);
// The same in quotes.
std::string quoted(std::string_view text);

}  // namespace vipkeeper::plan
