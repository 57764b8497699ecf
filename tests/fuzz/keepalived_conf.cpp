// A user's keepalived.conf: whatever the text, every problem has a place inside it, the fragments hold all of it, what
// was applied is what is running, and giving the same again changes nothing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/config/configuration.h"

namespace {

using namespace vipkeeper::config;

void demand(bool holds) {
  if (!holds) std::abort();
}

bool has_error(const std::vector<Problem>& problems) {
  return std::ranges::any_of(problems, [](const Problem& problem) { return problem.severity == Severity::error; });
}

void demand_places(const std::vector<Problem>& problems, std::string_view text) {
  const auto lines = static_cast<std::uint32_t>(std::ranges::count(text, '\n')) + 1;
  for (const Problem& problem : problems) {
    demand(problem.where.file == "f" && problem.where.line >= 1 && problem.where.line <= lines);
    // Behind the value of a variable, columns are those of the text with the value.
    const bool has_values = text.find('$') != std::string_view::npos;
    demand(problem.where.column >= 1 && (has_values || problem.where.column <= text.size() + 1));
    demand(!problem.message.empty() && problem.message.find('\x01') == std::string::npos);
    demand(problem.message.find('\n') == std::string::npos);
  }
}

void demand_resolved(const Configuration& configuration, const ConfigDelta& delta) {
  for (const auto& instance : delta.instances) {
    demand(instance->vrid != 0 && !instance->interface.empty() && instance->priority != 0);
    demand(instance->version == 2 || instance->version == 3);
    demand(instance->advert_interval > vipkeeper::Duration::zero() && instance->auth_password.size() <= 8);
    for (const auto& address : instance->addresses) demand(!address.interface.empty());
  }
  for (const auto& [key, server] : delta.virtual_servers) {
    demand(server && server->key == key && configuration.virtual_server(key) == server);
    for (const RealServer& real : server->real_servers) {
      for (const TcpCheck& check : real.checks)
        demand(check.connect_port != 0 && check.interval > vipkeeper::Duration::zero());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const FragmentChange fragments = split("f", text, {});
  for (const auto& [id, fragment] : fragments) demand(fragment && fragment->id == id);

  Configuration configuration;
  const auto result = configuration.apply(fragments);
  if (!result) {
    demand(has_error(result.error()) && configuration.fragment_count() == 0);
    demand_places(result.error(), text);
    return 0;
  }
  demand(configuration.fragment_count() == fragments.size());
  demand(!has_error(result->problems) || !configuration.instances().empty() ||
         configuration.virtual_server_count() > 0);
  demand_places(result->problems, text);
  demand(configuration.problems().size() == result->problems.size());
  demand_resolved(configuration, result->delta);

  // A byte order mark is one at the head of a file only.
  if (text.starts_with("\xef\xbb\xbf")) return 0;

  // Moved down by one line: the same fragments elsewhere, and nothing is parsed.
  const FragmentChange moved = split("f", "\n" + text, fragments);
  demand(moved.size() == fragments.size());
  const auto again = configuration.apply(moved);
  demand(again && again->fragments_parsed == 0 && !again->delta.vrrp_changed && again->delta.virtual_servers.empty());

  const auto emptied = configuration.apply(split("f", "", moved));
  demand(emptied && configuration.fragment_count() == 0 && configuration.virtual_server_count() == 0);
  demand(emptied->delta.virtual_servers.size() == result->delta.virtual_servers.size());
  return 0;
}
