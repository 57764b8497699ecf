// The grammar of one ConfigMap entry, in two forms, and which of them a value has.
//
// A value that is a YAML mapping is the extended form (extended_entry.cpp); anything else is the original's,
// `ADDRESS: ""` or `ADDRESS: namespace/service[:METHOD]`. Where the two meet: `namespace/service:`, which
// kube-keepalived-vip served, is a mapping to YAML as well; no field has a slash, so a mapping that has a key with one
// and no field is the original form. A text that YAML does not take is a slip in the extended form if it begins like
// one, has a directive or is more than an entry may be, or if the key is no address, which the original form needs.
//
// kube-keepalived-vip took the value apart with `(.*)/(.*):(.*)|(.*)/(.*)`, unanchored, and let every word pass as a
// method that had NAT, DR or PROXY somewhere inside; keepalived then took what it did not know for NAT. What its users
// wrote and got is kept, with a warning where it was luck: of several lines the first with a slash counts, `:XNATX` is
// NAT. What never worked (a name that no Service can have, a method in small letters) is refused here, where the
// original dropped the VIP with a line in its log. White space around key, value and method is dropped.

#include "controller/plan/entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "controller/plan/extended_entry.h"
#include "controller/plan/user_text.h"
#include "controller/plan/yaml_value.h"
#include "engine/base/nearest.h"

namespace vipkeeper::plan {

namespace {

constexpr std::string_view form = "write namespace/service[:NAT|DR|PROXY], or \"\" for an address alone";

std::unexpected<Error> bad(std::string message) { return failure(ErrorCode::invalid_input, std::move(message)); }

// The parts of the first line that the original's pattern matches.
struct Parts {
  std::string_view name_space, service;
  std::optional<std::string_view> method;
};

std::optional<Parts> match_line(std::string_view line) {
  if (const auto colon = line.rfind(':'); colon != std::string_view::npos) {
    // Greedy groups: the last slash that still has a colon behind it, then the last colon.
    if (const auto slash = line.rfind('/', colon); slash != std::string_view::npos) {
      return Parts{line.substr(0, slash), line.substr(slash + 1, colon - slash - 1), line.substr(colon + 1)};
    }
  }
  const auto slash = line.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  return Parts{line.substr(0, slash), line.substr(slash + 1), std::nullopt};
}

Result<std::optional<Method>> read_method(std::string_view text, std::vector<std::string>& warnings) {
  const auto word = trimmed(text);
  if (word.empty()) return std::nullopt;
  const auto method = parse_method(word);
  if (method && *method != Method::tunnel) return method;
  for (const std::string_view known : {"NAT", "DR", "PROXY"}) {
    if (!word.contains(known)) continue;
    warnings.push_back(fmt::format(
        "method {} is none of NAT, DR and PROXY; served as NAT, as before: write one of them", quoted(word)));
    return Method::masquerade;
  }
  return bad(fmt::format("method {} is none of NAT, DR and PROXY (in capitals): {}", quoted(word), form));
}

Result<ServiceReference> read_reference(const Parts& parts, std::vector<std::string>& warnings) {
  const auto check_name = [](std::string_view what, std::string_view name) -> Result<std::string> {
    if (is_label(name)) return std::string(name);
    return bad(fmt::format("{} {} is not one that Kubernetes gives: {}", what, quoted(name), form));
  };
  const auto name_space = check_name("namespace", parts.name_space);
  if (!name_space) return std::unexpected(name_space.error());
  const auto service = check_name("service name", parts.service);
  if (!service) return std::unexpected(service.error());
  ServiceReference reference{.name_space = *name_space, .name = *service};
  if (parts.method) {
    const auto method = read_method(*parts.method, warnings);
    if (!method) return std::unexpected(method.error());
    reference.says.method = *method;
  }
  return reference;
}

Result<std::optional<ServiceReference>> read_value(std::string_view value, std::vector<std::string>& warnings) {
  const auto text = trimmed(value);
  if (text.empty()) return std::nullopt;
  std::optional<Parts> parts;
  for (std::string_view rest = text; !rest.empty() && !parts;) {
    const auto end = std::min(rest.find('\n'), rest.size());
    parts = match_line(trimmed(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!parts) return bad(fmt::format("value {} names no Service: {}", quoted(text), form));
  if (text.contains('\n')) {
    warnings.push_back(fmt::format("of several lines only the one with {}/{} counts: keep that one",
                                   quoted(parts->name_space), quoted(parts->service)));
  }
  auto reference = read_reference(*parts, warnings);
  if (!reference) return std::unexpected(std::move(reference.error()));
  return std::move(*reference);
}

ParsedEntry read_original(std::string_view key, std::string_view value) {
  const auto refused = [](std::string why) { return std::unexpected(std::vector{std::move(why)}); };
  const auto address = IpAddress::parse(trimmed(key));
  if (!address) {
    return refused(
        fmt::format("key {} is not an IP address: write one like 10.0.0.50, without leading zeros", quoted(key)));
  }
  if (!address->is_v4()) {
    return refused(
        fmt::format("key {} is an IPv6 address: only IPv4 can be a key; write the extended form", quoted(key)));
  }
  Entry entry;
  entry.addresses.push_back({*address, static_cast<std::uint8_t>(address->bit_length())});
  auto reference = read_value(value, entry.warnings);
  if (!reference) return refused(std::move(reference.error().message));
  if (*reference) entry.services.push_back(std::move(**reference));
  return entry;
}

// A mapping has braces, or a colon with white space or nothing behind it. What has neither need not be asked of YAML.
bool may_be_mapping(std::string_view value) {
  if (value.contains('{')) return true;
  for (auto at = value.find(':'); at != std::string_view::npos; at = value.find(':', at + 1)) {
    if (at + 1 == value.size() || std::string_view(" \t\r\n").contains(value[at + 1])) return true;
  }
  return false;
}

// Whether a mapping is what the original's form took: it names a Service, which no field does, and no field.
bool is_original(const YamlValue& mapping) {
  const auto fields = extended_fields();
  const auto is_field = [&](const YamlMember& member) {
    return std::ranges::find(fields, member.name) != fields.end();
  };
  return std::ranges::none_of(mapping.members, is_field) &&
         std::ranges::any_of(mapping.members, [](const YamlMember& member) { return member.name.contains('/'); });
}

// Whether a text that YAML does not take was meant as the extended form: its first line that says something begins with
// a brace, with a directive, or with one of the fields, or nearly.
bool begins_like_extended(std::string_view value) {
  for (std::string_view rest = value; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.starts_with('#') || line.starts_with("---")) continue;
    return line.starts_with('{') || line.starts_with('%') ||
           !nearest(trimmed(line.substr(0, line.find(':'))), extended_fields()).empty();
  }
  return false;
}

}  // namespace

ParsedEntry parse_entry(std::string_view key, std::string_view value) {
  if (!may_be_mapping(value)) return read_original(key, value);
  const auto yaml = parse_yaml(value);
  if (yaml && yaml->type == YamlValue::Type::mapping) {
    return is_original(*yaml) ? read_original(key, value) : read_extended_entry(key, *yaml);
  }
  const bool too_much = !yaml && yaml.error().code == ErrorCode::unsupported;
  if (!yaml && (too_much || begins_like_extended(value) || !IpAddress::parse(trimmed(key)))) {
    return std::unexpected(std::vector{fmt::format("the value is no YAML mapping: {}", yaml.error().message)});
  }
  return read_original(key, value);
}

std::optional<ServiceReference> parse_service_name(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto name_space = text.substr(0, slash);
  const auto name = text.substr(slash + 1);
  if (!is_label(name_space) || !is_label(name)) return std::nullopt;
  return ServiceReference{.name_space = std::string(name_space), .name = std::string(name)};
}

bool PortSelector::selects(const objects::ServicePort& port) const {
  if (!name.empty()) return port.name == name;
  return port.port == number && (!protocol || port.protocol == *protocol);
}

std::string PortSelector::to_string() const {
  if (!name.empty()) return name;
  return protocol ? fmt::format("{}/{}", number, vipkeeper::to_string(*protocol)) : std::to_string(number);
}

}  // namespace vipkeeper::plan
