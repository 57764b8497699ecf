// Entries of the ConfigMap: whatever their text, parse_entry says what it means or what is wrong with it, each on one
// line, and what it takes can stand in a configuration. What stands before the first newline is the key, the rest is
// the value.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "controller/plan/entry.h"
#include "controller/plan/options.h"
#include "controller/plan/user_text.h"

namespace {

using namespace vipkeeper;

void demand(bool holds) {
  if (!holds) std::abort();
}

void demand_one_line(const std::string& text) {
  demand(!text.empty() && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
}

void demand_service(const plan::ServiceReference& service) {
  demand(plan::is_label(service.name_space) && plan::is_label(service.name));
  for (const auto& port : service.ports) demand(port.number != 0 ? port.name.empty() : plan::is_label(port.name));
  const auto& says = service.says;
  demand(!says.scheduler || plan::is_scheduler(*says.scheduler));
  demand(says.persistence_seconds.value_or(0) <= 31U * 24 * 3600);
  if (!says.check) return;
  demand(says.check->interval_seconds > 0 && says.check->timeout_seconds > 0);
  demand(plan::is_pasteable(says.check->path, false));
  demand(says.check->host.empty() || plan::is_pasteable(says.check->host, false));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return 0;
  const auto entry = plan::parse_entry(text.substr(0, end), text.substr(end + 1));
  if (!entry) {
    demand(!entry.error().empty() && entry.error().size() <= 20);
    for (const auto& complaint : entry.error()) demand_one_line(complaint);
    return 0;
  }
  std::set<IpAddress> addresses;
  for (const auto& prefix : entry->addresses) demand(prefix.length > 0 && addresses.insert(prefix.address).second);
  demand(!addresses.empty());
  demand(entry->interface.empty() || plan::is_interface_name(entry->interface));
  for (const auto& service : entry->services) demand_service(service);
  for (const auto& warning : entry->warnings) demand_one_line(warning);
  return 0;
}
