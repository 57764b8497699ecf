#pragma once

#include <optional>
#include <vector>

#include "engine/config/declared.h"
#include "engine/config/language/statement.h"

// A virtual_server as written, before what is inherited (virtual_server -> real_server -> check) is filled in.
namespace vipkeeper::config {

// Said on any of the three levels; the innermost counts.
struct CheckTiming {
  std::optional<Duration> connect_timeout;
  std::optional<Duration> delay_loop;
  std::optional<unsigned> retry;
  std::optional<Duration> delay_before_retry;
};

struct TcpCheckDraft {
  std::optional<IpAddress> connect_address;
  std::optional<std::uint16_t> connect_port;
  CheckTiming timing;
  Position at;
  bool unusable = false;  // and already reported
};

struct RealServerDraft {
  Position at;
  IpAddress address;
  std::optional<std::uint16_t> port;
  std::optional<int> weight;
  std::optional<ForwardingMethod> method;
  std::uint32_t upper_threshold = 0;
  std::uint32_t lower_threshold = 0;
  std::optional<bool> inhibit_on_failure;
  bool on_this_node = false;
  CheckTiming timing;
  std::vector<TcpCheckDraft> checks;
};

struct VirtualServerDraft {
  Position at;
  std::string title;  // "virtual_server 10.0.0.1 80", for messages
  IpAddress address;
  std::uint16_t port = 0;
  std::uint32_t fwmark = 0;
  std::optional<Family> family;
  std::optional<Protocol> protocol;
  bool protocol_is_bad = false;  // said and already reported; the same for the two below
  std::optional<std::string> scheduler;
  bool scheduler_is_bad = false;
  std::uint32_t scheduler_flags = 0;
  std::optional<ForwardingMethod> method;
  bool method_is_bad = false;
  std::optional<std::uint32_t> persistence_seconds;
  std::optional<std::uint32_t> persistence_prefix;
  Masquerade masquerade = Masquerade::never;
  bool alpha = false;
  MaybeSaid<unsigned> quorum;
  MaybeSaid<unsigned> hysteresis;
  std::optional<int> weight;
  std::optional<bool> inhibit_on_failure;
  CheckTiming timing;
  std::vector<RealServerDraft> real_servers;
  bool has_bad_real_server = false;  // already reported
};

void read_real_server(Findings& findings, const Statement& block, VirtualServerDraft& server);

// "NAT", "DR" or "TUN".
std::optional<ForwardingMethod> read_method(Findings& findings, const Statement& statement,
                                            std::string_view consequence);

// The same statement on every level.
void read_connect_timeout(Findings& findings, const Statement& statement, CheckTiming& timing);
void read_delay_loop(Findings& findings, const Statement& statement, CheckTiming& timing);
void read_retry(Findings& findings, const Statement& statement, CheckTiming& timing);
void read_delay_before_retry(Findings& findings, const Statement& statement, CheckTiming& timing);

// Defaults and inheritance applied, with keepalived's corrections as warnings. Its key is there also where the server
// is unusable.
DeclaredServer resolve_server(Findings& findings, const VirtualServerDraft& draft, std::string comment);

}  // namespace vipkeeper::config
