#include "controller/plan/options.h"

#include <fmt/format.h>

#include <algorithm>

namespace vipkeeper::plan {

namespace {

constexpr std::size_t longest_interface = 15;  // IFNAMSIZ without its end

std::unexpected<Error> bad(std::string message) { return failure(ErrorCode::invalid_input, std::move(message)); }

}  // namespace

bool is_pasteable(std::string_view value, bool blanks_allowed) {
  return !value.empty() && std::ranges::all_of(value, [&](char c) {
    if (c == ' ') return blanks_allowed;
    // keepalived's language: braces make blocks, ! and # comments, quotes and backslashes quote, $ and ~ expand.
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f &&
           std::string_view("{}\"'\\!#$~").find(c) == std::string_view::npos;
  });
}

bool is_interface_name(std::string_view name) {
  return name.size() <= longest_interface && is_pasteable(name, false) && !name.contains('/') && name != "." &&
         name != "..";
}

Result<void> validate_options(const PlanOptions& options) {
  if (options.config_map_name.empty()) return bad("--services-configmap: missing: give NAMESPACE/NAME");
  if (options.vrid == 0) return bad("--vrid: must be 1 to 255, is 0");
  const auto& interface = options.interface;
  if (!interface.empty() && !is_interface_name(interface)) {
    return bad(fmt::format("--iface: \"{}\" cannot be the name of an interface", interface));
  }
  if (options.node_ip) {
    const auto& address = *options.node_ip;
    if (address.is_unspecified() || address.is_loopback() || address.is_multicast()) {
      return bad(fmt::format("--node-ip: {} cannot be a node's address", address.to_string()));
    }
  }
  if (options.advert_interval < std::chrono::milliseconds(10) ||
      options.advert_interval > std::chrono::milliseconds(40950)) {
    return bad("--advert-interval: must be 0.01 to 40.95 seconds (RFC 9568 5.2.7: 12 bits of hundredths)");
  }
  if (!options.notify.empty() && !is_pasteable(options.notify, true)) {
    return bad(
        fmt::format("KEEPALIVED_NOTIFY: [{}] cannot stand in a keepalived.conf: give a path, and arguments "
                    "without quotes or special characters",
                    options.notify));
  }
  return {};
}

}  // namespace vipkeeper::plan
