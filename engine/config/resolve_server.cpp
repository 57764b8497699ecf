#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "engine/config/server_draft.h"

namespace vipkeeper::config {
namespace {

constexpr std::uint32_t default_persistence = 360;

template <class T>
T first_said(std::initializer_list<const std::optional<T>*> levels, T otherwise) {
  for (const auto* level : levels) {
    if (*level) return **level;
  }
  return otherwise;
}

std::string shown(const IpAddress& address, std::uint16_t port) {
  return address.is_v4() ? fmt::format("{}:{}", address.to_string(), port)
                         : fmt::format("[{}]:{}", address.to_string(), port);
}

class ServerResolver {
 public:
  ServerResolver(Findings& findings, const VirtualServerDraft& draft)
      : findings_(findings), draft_(draft), has_bad_real_server_(draft.has_bad_real_server) {}

  DeclaredServer resolve(std::string comment) {
    server_.comment = std::move(comment);
    resolve_key();
    resolve_balancing();
    resolve_persistence();
    for (const RealServerDraft& real : draft_.real_servers) resolve_real_server(real);
    // A Service's endpoints come and go, and whoever wrote the text said so; by hand it was forgotten.
    if (server_.real_servers.empty() && server_.comment.empty() && !has_bad_real_server_) {
      findings_.warning(draft_.at, fmt::format("'{}' has no real_server: connections to it are refused", draft_.title));
    }
    resolve_quorum();
    if (server_.real_servers.empty() && has_bad_real_server_) {
      findings_.error(draft_.at, fmt::format("'{}' is left out: none of its real_servers can be used", draft_.title));
      return {server_.key, nullptr, draft_.at};
    }
    const VirtualServerKey key = server_.key;
    return {key, std::make_shared<const VirtualServer>(std::move(server_)), draft_.at};
  }

 private:
  void warn_default(bool already_reported, std::string_view keyword, std::string_view value) {
    if (already_reported) return;
    findings_.warning(draft_.at, fmt::format("'{}' has no '{}': {} is used", draft_.title, keyword, value));
  }

  void resolve_key() {
    VirtualServerKey& key = server_.key;
    key.address = draft_.address;
    key.port = draft_.port;
    key.fwmark = draft_.fwmark;
    if (draft_.family) {
      key.family = *draft_.family;
    } else if (!draft_.real_servers.empty()) {
      key.family = draft_.real_servers.front().address.family();
    }
    if (draft_.fwmark != 0) {
      if (draft_.protocol)
        findings_.warning(draft_.at, fmt::format("'protocol' of '{}' is ignored: the kernel looks at the mark alone; "
                                                 "remove it",
                                                 draft_.title));
      return;
    }
    if (!draft_.protocol) warn_default(draft_.protocol_is_bad, "protocol", "UDP");
    key.protocol = draft_.protocol.value_or(Protocol::udp);
  }

  void resolve_balancing() {
    if (!draft_.scheduler) warn_default(draft_.scheduler_is_bad, "lb_algo", "wlc");
    server_.scheduler = draft_.scheduler.value_or("wlc");
    server_.scheduler_flags = draft_.scheduler_flags;
    if (!draft_.method) warn_default(draft_.method_is_bad, "lb_kind", "NAT");
    server_.masquerade = draft_.masquerade;
    server_.alpha = draft_.alpha;
  }

  void resolve_persistence() {
    server_.persistence_seconds = draft_.persistence_seconds.value_or(0);
    const std::uint32_t host = server_.key.family == Family::ipv4 ? 32 : 128;
    server_.persistence_prefix = std::min(draft_.persistence_prefix.value_or(host), host);
    if (server_.persistence_seconds != 0) return;
    if (draft_.persistence_prefix) {
      server_.persistence_seconds = default_persistence;
    } else if (draft_.port == 0 && draft_.fwmark == 0) {
      findings_.warning(draft_.at,
                        fmt::format("'{}' has no port, which needs persistence: 'persistence_timeout {}' is used",
                                    draft_.title, default_persistence));
      server_.persistence_seconds = default_persistence;
    }
  }

  void resolve_real_server(const RealServerDraft& draft) {
    RealServer real;
    real.address = draft.address;
    real.method = first_said({&draft.method, &draft_.method}, ForwardingMethod::masquerade);
    if (real.method != ForwardingMethod::tunnel && real.address.family() != server_.key.family) {
      findings_.error(draft.at, fmt::format("real_server {} is {} but '{}' is {}, it is left out: only lb_kind TUN can "
                                            "mix them",
                                            real.address.to_string(), to_string(real.address.family()), draft_.title,
                                            to_string(server_.key.family)));
      has_bad_real_server_ = true;
      return;
    }
    const std::uint16_t own_port = draft.port.value_or(draft_.port);
    real.port = own_port;
    if (real.method != ForwardingMethod::masquerade && draft_.fwmark == 0 && own_port != draft_.port) {
      findings_.warning(
          draft.at, fmt::format("real_server {}: {} cannot change the port, {} is used", shown(real.address, own_port),
                                real.method == ForwardingMethod::direct ? "DR" : "TUN", draft_.port));
      real.port = draft_.port;
    }
    real.weight = first_said({&draft.weight, &draft_.weight}, 1);
    real.upper_threshold = draft.upper_threshold;
    real.lower_threshold = draft.lower_threshold;
    real.inhibit_on_failure = first_said({&draft.inhibit_on_failure, &draft_.inhibit_on_failure}, false);
    real.on_this_node = draft.on_this_node;
    for (const TcpCheckDraft& check : draft.checks) resolve_check(draft, check, own_port, real);
    const auto [first, is_new] = seen_.emplace(std::pair(real.address, real.port), draft.at);
    if (!is_new) {
      findings_.add(Severity::warning, draft.at,
                    fmt::format("real_server {} is given twice, the first in line {} counts: remove one",
                                shown(real.address, real.port), other_line),
                    first->second);
      return;
    }
    server_.real_servers.push_back(std::move(real));
  }

  void resolve_check(const RealServerDraft& real, const TcpCheckDraft& draft, std::uint16_t own_port,
                     RealServer& into) {
    const TcpCheck defaults;
    TcpCheck check;
    check.connect_address = draft.connect_address;
    check.connect_port = draft.connect_port.value_or(own_port);
    check.connect_timeout =
        first_said({&draft.timing.connect_timeout, &real.timing.connect_timeout, &draft_.timing.connect_timeout},
                   defaults.connect_timeout);
    check.interval =
        first_said({&draft.timing.delay_loop, &real.timing.delay_loop, &draft_.timing.delay_loop}, defaults.interval);
    check.retry = first_said({&draft.timing.retry, &real.timing.retry, &draft_.timing.retry}, defaults.retry);
    check.delay_before_retry = first_said(
        {&draft.timing.delay_before_retry, &real.timing.delay_before_retry, &draft_.timing.delay_before_retry},
        defaults.delay_before_retry);
    if (check.connect_port == 0) {
      findings_.error(draft.at,
                      fmt::format("TCP_CHECK of real_server {} has no port to connect to, it is left out: add "
                                  "'connect_port N'",
                                  into.address.to_string()));
      return;
    }
    into.checks.push_back(check);
  }

  void resolve_quorum() {
    server_.quorum = draft_.quorum ? draft_.quorum->value : 1;
    server_.hysteresis = draft_.hysteresis ? draft_.hysteresis->value : 0;
    std::uint64_t total = 0;
    for (const RealServer& real : server_.real_servers) total += static_cast<std::uint64_t>(real.weight);
    if (draft_.quorum && !server_.real_servers.empty() && server_.quorum > std::max<std::uint64_t>(total, 1)) {
      server_.quorum = static_cast<unsigned>(std::max<std::uint64_t>(total, 1));
      findings_.warning(draft_.quorum->at, fmt::format("'quorum {}' is more than all weights together, {} is used",
                                                       draft_.quorum->value, server_.quorum));
    }
    if (server_.hysteresis >= server_.quorum && server_.hysteresis > 0) {
      findings_.warning(draft_.hysteresis->at,
                        fmt::format("'hysteresis {}' must be less than quorum {}, {} is used", draft_.hysteresis->value,
                                    server_.quorum, server_.quorum - 1));
      server_.hysteresis = server_.quorum - 1;
    }
  }

  Findings& findings_;
  const VirtualServerDraft& draft_;
  VirtualServer server_;
  std::map<std::pair<IpAddress, std::uint16_t>, Position> seen_;
  bool has_bad_real_server_;
};

}  // namespace

DeclaredServer resolve_server(Findings& findings, const VirtualServerDraft& draft, std::string comment) {
  return ServerResolver(findings, draft).resolve(std::move(comment));
}

}  // namespace vipkeeper::config
