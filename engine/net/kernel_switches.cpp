// The switches, and what each is on for (net/netfilter/ipvs of Linux 6.1):
// - ip_forward: masquerading and tunnels forward what is not for this host.
// - vs.conntrack: without it connections through IPVS are unknown to the packet filter, which then cannot masquerade.
// - vs.expire_nodest_conn: the entry of a connection outlives its real server. Without it ip_vs_in() drops each further
//   packet of such a connection in silence, and each packet of a client that does not stop sending renews the entry; a
//   UDP flow never ends so. With it the first packet ends the entry, and the next is scheduled like that of a new
//   connection. Nothing is lost by it: what it ends is dead in any case.
// - vs.expire_quiescent_template: what persistence remembers of a client names a real server also while that has
//   weight 0. Without this switch the client's new connections go on going there, and it never drains.

#include "engine/net/kernel_switches.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <system_error>

#include "engine/base/unique_fd.h"

namespace vipkeeper::net {
namespace {

struct Needed {
  const char* name;
  const char* without;
};

constexpr std::array needed{
    Needed{"net.ipv4.ip_forward", "real servers by NAT and TUN get nothing"},
    Needed{"net.ipv4.vs.conntrack", "connections through IPVS cannot be masqueraded"},
    Needed{"net.ipv4.vs.expire_nodest_conn",
           "UDP clients of a real server that is gone get no answer until they pause"},
    Needed{"net.ipv4.vs.expire_quiescent_template",
           "with persistence, clients of a real server that drains go on opening connections to it"},
};

// The first character of the file; nullopt, and errno, if it cannot be read.
std::optional<char> value_in(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char value = 0;
  if (!file || read(file.get(), &value, 1) != 1) return std::nullopt;
  return value;
}

std::string reason(int number) { return std::generic_category().message(number); }

// Empty, or what is wrong.
std::string switch_on(const std::string& path) {
  const auto now = value_in(path);
  if (now == '1') return {};
  if (!now) return fmt::format("cannot be read ({})", reason(errno));
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file && write(file.get(), "1", 1) == 1) return {};
  return fmt::format("is {} and cannot be set to 1 from here ({})", *now, reason(errno));
}

}  // namespace

std::vector<KernelSwitch> prepare_kernel(const std::string& root) {
  std::vector<KernelSwitch> missing;
  for (const auto& [name, without] : needed) {
    std::string path = name;
    std::ranges::replace(path, '.', '/');
    if (const auto wrong = switch_on(fmt::format("{}/{}", root, path)); !wrong.empty())
      missing.push_back({name, fmt::format("{}: {}; run \"sysctl -w {}=1\" on the host", wrong, without, name)});
  }
  return missing;
}

}  // namespace vipkeeper::net
