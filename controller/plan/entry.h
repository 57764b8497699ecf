#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/service_says.h"
#include "engine/base/ip_address.h"
#include "engine/base/protocol.h"

namespace vipkeeper::plan {

// Some of a Service's ports: by name, by number, or by number and protocol.
struct PortSelector {
  std::string name;  // empty: by number
  std::uint16_t number = 0;
  std::optional<Protocol> protocol;  // none: every protocol that has the number

  [[nodiscard]] bool selects(const objects::ServicePort& port) const;
  // As it is written: "http", "443", "53/udp".
  [[nodiscard]] std::string to_string() const;
  bool operator==(const PortSelector&) const = default;
};

// A Service that an entry puts behind its addresses, and what the entry says about it. What it does not say comes from
// the Service's annotations, the Service itself, the default.
struct ServiceReference {
  std::string name_space;
  std::string name;
  std::vector<PortSelector> ports = {};  // none: all
  ServiceSays says = {};

  // "default/web"
  [[nodiscard]] std::string to_string() const { return name_space + "/" + name; }
  bool operator==(const ServiceReference&) const = default;
};

// One well-formed entry of the ConfigMap.
struct Entry {
  std::vector<IpPrefix> addresses;         // never empty, no address twice
  std::string interface;                   // of all of them; empty: not said
  std::vector<ServiceReference> services;  // none: a bare VIP
  // What was taken other than it was meant, in words for the user.
  std::vector<std::string> warnings;
  bool operator==(const Entry&) const = default;
};

// The entry, or everything that is wrong with it (up to a number that a person reads), each with its remedy.
using ParsedEntry = std::expected<Entry, std::vector<std::string>>;

// Reads one key and value of the ConfigMap, in either form. Judges the form alone: whether the addresses may be VIPs is
// judge_entry()'s.
ParsedEntry parse_entry(std::string_view key, std::string_view value);

// "namespace/service"; nullopt if no Service can have that name.
std::optional<ServiceReference> parse_service_name(std::string_view text);

}  // namespace vipkeeper::plan
