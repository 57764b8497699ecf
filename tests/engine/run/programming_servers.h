#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "engine/run/services/programmer.h"

namespace vipkeeper::test {

// tcp 192.0.2.10:PORT with real servers 10.0.0.1:8080 and on, without checks.
inline config::VirtualServer server(std::uint16_t port, unsigned real_servers = 1) {
  config::VirtualServer server;
  server.key = {Protocol::tcp, IpAddress::v4(0xc000020a), port, 0, Family::ipv4};
  for (unsigned i = 1; i <= real_servers; ++i) {
    config::RealServer real;
    real.address = IpAddress::v4(0x0a000000 + i);
    real.port = 8080;
    server.real_servers.push_back(real);
  }
  return server;
}

// The same with a TCP_CHECK each 10 s, one retry after 1 s.
inline config::VirtualServer checked_server(std::uint16_t port, unsigned real_servers) {
  config::VirtualServer result = server(port, real_servers);
  for (config::RealServer& real : result.real_servers) {
    config::TcpCheck check;
    check.connect_port = real.port;
    check.interval = std::chrono::seconds(10);
    real.checks.push_back(check);
  }
  return result;
}

inline run::VirtualServers delta_of(const std::vector<config::VirtualServer>& servers) {
  run::VirtualServers delta;
  for (const config::VirtualServer& one : servers) delta[one.key] = std::make_shared<const config::VirtualServer>(one);
  return delta;
}

}  // namespace vipkeeper::test
