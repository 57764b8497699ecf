// The grammar of one ConfigMap entry: the original's form, `ADDRESS: ""` or `ADDRESS: namespace/service[:METHOD]`.
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

namespace vipkeeper::plan {

namespace {

constexpr std::string_view white_space = " \t\r\n\v\f";
constexpr std::string_view form = "write namespace/service[:NAT|DR|PROXY], or \"\" for an address alone";

std::unexpected<Error> bad(std::string message) { return failure(ErrorCode::invalid_input, std::move(message)); }

// RFC 1123 label, the form of a namespace's and a Service's name. Being this strict keeps everything else out of the
// generated text.
bool is_label(std::string_view text) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 63 && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return alphanumeric(c) || c == '-'; });
}

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
  ServiceReference reference{.name_space = *name_space, .name = *service, .method = {}};
  if (parts.method) {
    const auto method = read_method(*parts.method, warnings);
    if (!method) return std::unexpected(method.error());
    reference.method = *method;
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

// A YAML mapping with the fields of the extended form; no value of the original's form begins like one.
bool is_extended_form(std::string_view value) {
  const auto text = trimmed(value);
  return std::ranges::any_of(std::array<std::string_view, 3>{"addresses:", "services:", "interface:"},
                             [&](std::string_view field) { return text.starts_with(field); });
}

}  // namespace

Result<Entry> parse_entry(std::string_view key, std::string_view value) {
  if (is_extended_form(value))
    return bad(fmt::format("the extended form (a YAML mapping) is not available yet: {}", form));
  const auto address = IpAddress::parse(trimmed(key));
  if (!address) {
    return bad(
        fmt::format("key {} is not an IP address: write one like 10.0.0.50, without leading zeros", quoted(key)));
  }
  if (!address->is_v4()) return bad(fmt::format("key {} is an IPv6 address: only IPv4 can be a key", quoted(key)));
  Entry entry;
  entry.addresses.push_back({*address, static_cast<std::uint8_t>(address->bit_length())});
  auto reference = read_value(value, entry.warnings);
  if (!reference) return std::unexpected(std::move(reference.error()));
  if (*reference) entry.services.push_back(std::move(**reference));
  return entry;
}

std::optional<Method> parse_method(std::string_view word) {
  for (const Method method : {Method::masquerade, Method::direct, Method::tunnel, Method::proxy}) {
    if (word == to_string(method)) return method;
  }
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(white_space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

std::string one_line(std::string_view text) {
  std::size_t longest = 60;
  // Never half a character of UTF-8: the text ends in JSON.
  while (longest < text.size() && (static_cast<unsigned char>(text[longest]) & 0xc0U) == 0x80U) --longest;
  std::string result;
  for (const char c : text.substr(0, longest)) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    result += control ? ' ' : c;
  }
  if (text.size() > longest) result += "...";
  return result;
}

std::string quoted(std::string_view text) { return "\"" + one_line(text) + "\""; }

}  // namespace vipkeeper::plan
