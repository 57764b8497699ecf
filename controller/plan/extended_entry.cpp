// The extended form of an entry: a YAML mapping with addresses, interface and services.
//
//     addresses: [192.0.2.60/24, "2001:db8::60/64"]      one or a list; the key, if that is an address
//     interface: eth1
//     services:
//     - service: default/web
//       ports: [http, 443, 53/udp]
//       method: NAT            and the other options of service_says.h
//
// Read whole, and taken whole or not at all: every field that is unknown, of the wrong type or without a meaning is a
// complaint with the way to it ("services[0].ports[1]: ..."), and one complaint refuses the entry. A field without a
// value (null) is as one that is not there, as it is for the API server. What is read ends in the text of a
// configuration, so nothing but addresses, numbers, names that Kubernetes gives, words of a list and an interface's
// name gets through.

#include "controller/plan/extended_entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "controller/plan/options.h"
#include "controller/plan/user_text.h"

namespace vipkeeper::plan {

namespace {

using Type = YamlValue::Type;

// No network is that large: a slip, which would take the host's routes to everybody else away.
constexpr unsigned shortest_prefix = 8;

constexpr auto fields = std::to_array<std::string_view>({"addresses", "interface", "services"});

// The elements of a list; a single value is a list of itself.
std::vector<const YamlValue*> elements_of(const YamlValue& value) {
  if (value.type != Type::list) return {&value};
  std::vector<const YamlValue*> result;
  for (const auto& element : value.elements) result.push_back(&element);
  return result;
}

std::string element_path(const std::string& path, const YamlValue& list, std::size_t index) {
  return list.type == Type::list ? fmt::format("{}[{}]", path, index) : path;
}

std::optional<Protocol> parse_protocol(std::string_view word) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
    if (lower == to_string(protocol)) return protocol;
  }
  return std::nullopt;
}

std::optional<PortSelector> parse_port(std::string_view text) {
  PortSelector selector;
  const auto slash = text.find('/');
  const auto digits = text.substr(0, slash);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), selector.number);
  const bool number = error == std::errc{} && end == digits.data() + digits.size();
  if (slash != std::string_view::npos) {
    selector.protocol = parse_protocol(text.substr(slash + 1));
    return number && selector.number != 0 && selector.protocol ? std::optional(selector) : std::nullopt;
  }
  if (number) return selector.number != 0 ? std::optional(selector) : std::nullopt;
  // A port's name has a letter, so that it cannot be taken for a number.
  const bool has_letter = std::ranges::any_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
  if (!has_letter || !is_label(text)) return std::nullopt;
  selector.number = 0;
  selector.name = text;
  return selector;
}

// One entry while it is read.
class EntryReader {
 public:
  ParsedEntry read(std::string_view key, const YamlValue& root) && {
    bool has_addresses = false;
    for (const auto& [name, value] : root.members) {
      if (std::ranges::find(fields, name) == fields.end()) {
        complaints_.add("", unknown_name("field", name, {fields.begin(), fields.end()}));
        continue;
      }
      if (value.type == Type::null) continue;
      has_addresses = has_addresses || name == "addresses";
      if (name == "addresses") read_addresses(value);
      if (name == "interface") read_interface(value);
      if (name == "services") read_services(value);
    }
    take_key(key, has_addresses);
    if (!complaints_.list().empty()) return std::unexpected(complaints_.list());
    return std::move(entry_);
  }

 private:
  void take_key(std::string_view key, bool has_addresses);
  void read_addresses(const YamlValue& value);
  void read_interface(const YamlValue& value);
  void read_services(const YamlValue& value);
  void read_service(const YamlValue& value, const std::string& path);
  void read_name(const YamlValue& value, const std::string& path, ServiceReference& reference);
  void read_ports(const YamlValue& value, const std::string& path, ServiceReference& reference);

  Entry entry_;
  Complaints complaints_;
};

void EntryReader::take_key(std::string_view key, bool has_addresses) {
  const auto address = IpAddress::parse(trimmed(key));
  if (!has_addresses && address) {
    entry_.addresses.push_back({*address, static_cast<std::uint8_t>(address->bit_length())});
  } else if (!has_addresses) {
    complaints_.add("addresses",
                    fmt::format("missing: the key {} is not an address, so give at least one", quoted(key)));
  } else if (address && std::ranges::find(entry_.addresses, *address, &IpPrefix::address) == entry_.addresses.end()) {
    entry_.warnings.push_back(
        "the key is an address that is not one of addresses: only those are held; give it there too, or name the entry "
        "otherwise");
  }
}

void EntryReader::read_addresses(const YamlValue& value) {
  const auto elements = elements_of(value);
  if (elements.empty()) complaints_.add("addresses", "must hold at least one");
  std::set<IpAddress> seen;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const auto path = element_path("addresses", value, i);
    if (elements[i]->type != Type::scalar) {
      complaints_.add(path, fmt::format("must be an address, is {}", describe(elements[i]->type)));
      continue;
    }
    const auto text = trimmed(elements[i]->text);
    const auto prefix = IpPrefix::parse(text);
    if (prefix && prefix->length > 0 && prefix->length < shortest_prefix) {
      complaints_.add(path, fmt::format("{} makes the interface the way to /{}, a part of all addresses: give the "
                                        "subnet's own length, or none",
                                        prefix->to_string(), prefix->length));
    } else if (!prefix || prefix->length == 0) {
      complaints_.add(path, quoted(text) +
                                " is not an IP address: write one like 10.0.0.50, 10.0.0.50/24 or "
                                "\"2001:db8::50/64\", without leading zeros");
    } else if (!seen.insert(prefix->address).second) {
      complaints_.add(path, prefix->address.to_string() + " comes twice: remove one");
    } else {
      entry_.addresses.push_back(*prefix);
    }
  }
}

void EntryReader::read_interface(const YamlValue& value) {
  const auto text = value.type == Type::scalar ? trimmed(value.text) : std::string_view();
  if (is_interface_name(text)) {
    entry_.interface = text;
  } else if (value.type == Type::scalar) {
    complaints_.add("interface", quoted(text) + " cannot be the name of an interface");
  } else {
    complaints_.add("interface", fmt::format("must be the name of one, is {}", describe(value.type)));
  }
}

void EntryReader::read_services(const YamlValue& value) {
  if (value.type != Type::list) {
    return complaints_.add(
        "services", fmt::format("must be a list (each begins with \"- service:\"), is {}", describe(value.type)));
  }
  for (std::size_t i = 0; i < value.elements.size(); ++i) {
    read_service(value.elements[i], fmt::format("services[{}]", i));
  }
}

void EntryReader::read_service(const YamlValue& value, const std::string& path) {
  if (value.type != Type::mapping) {
    return complaints_.add(path, fmt::format("must be a mapping with the field service, is {}", describe(value.type)));
  }
  ServiceReference reference;
  bool has_name = false;
  for (const auto& [name, member] : value.members) {
    const auto option = std::ranges::find(all_service_options(), name, &ServiceOption::field);
    if (name != "service" && name != "ports" && option == all_service_options().end()) {
      std::vector<std::string_view> known = {"service", "ports"};
      for (const auto& each : all_service_options()) known.push_back(each.field);
      complaints_.add(path, unknown_name("field", name, known));
      continue;
    }
    if (member.type == Type::null) continue;
    const auto member_path = fmt::format("{}.{}", path, name);
    has_name = has_name || name == "service";
    if (name == "service") {
      read_name(member, member_path, reference);
    } else if (name == "ports") {
      read_ports(member, member_path, reference);
    } else {
      option->read(member, member_path, reference.says, complaints_);
    }
  }
  if (!has_name) complaints_.add(path + ".service", "missing: write namespace/service");
  entry_.services.push_back(std::move(reference));
}

void EntryReader::read_name(const YamlValue& value, const std::string& path, ServiceReference& reference) {
  if (value.type != Type::scalar) {
    return complaints_.add(path, fmt::format("must be namespace/service, is {}", describe(value.type)));
  }
  const auto parsed = parse_service_name(trimmed(value.text));
  if (!parsed) return complaints_.add(path, quoted(value.text) + " names no Service: write namespace/service");
  reference.name_space = parsed->name_space;
  reference.name = parsed->name;
}

void EntryReader::read_ports(const YamlValue& value, const std::string& path, ServiceReference& reference) {
  const auto elements = elements_of(value);
  if (elements.empty()) complaints_.add(path, "must hold at least one; leave it out for all ports");
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const bool scalar = elements[i]->type == Type::scalar;
    const auto selector = scalar ? parse_port(trimmed(elements[i]->text)) : std::nullopt;
    if (selector) {
      reference.ports.push_back(*selector);
      continue;
    }
    complaints_.add(element_path(path, value, i),
                    (scalar ? quoted(elements[i]->text) : std::string(describe(elements[i]->type))) +
                        " is no port: write its name, its number (1 to 65535) or, with the protocol, 53/udp");
  }
}

}  // namespace

std::span<const std::string_view> extended_fields() { return fields; }

ParsedEntry read_extended_entry(std::string_view key, const YamlValue& root) { return EntryReader().read(key, root); }

}  // namespace vipkeeper::plan
