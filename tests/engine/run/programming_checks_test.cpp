// What checks, draining and the quorum make of the table.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "tests/engine/run/programming_bench.h"

namespace vipkeeper::run {
namespace {

TEST_CASE("a dead real server is out of the kernel within one check and back with the first success",
          "[programming][checks]") {
  Bench bench;
  const auto web = checked_server(80, 3);
  bench.apply({web});
  bench.pass(1min);
  CHECK(bench.entry(web).destinations.size() == 3);
  bench.commands();
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  bench.pass(10s + 1s + 1ms);  // interval and one retry
  CHECK(bench.commands() == Commands{"delete real server 10.0.0.2:8080 from tcp 192.0.2.10:80"});
  CHECK(bench.said("TCP_CHECK on service [10.0.0.2]:tcp:8080 failed"));
  CHECK(bench.said("Removing service [10.0.0.2]:tcp:8080 from VS [192.0.2.10]:tcp:80"));
  bench.answer = [](const check::Probe&) { return connected; };
  bench.pass(10s);
  CHECK(bench.commands() == Commands{"add real server 10.0.0.2:8080 to tcp 192.0.2.10:80"});
  CHECK(bench.said("Adding service [10.0.0.2]:tcp:8080 to VS [192.0.2.10]:tcp:80"));
}

TEST_CASE("with inhibit_on_failure a dead real server keeps its entry with weight 0", "[programming][checks]") {
  Bench bench;
  auto web = checked_server(80, 2);
  for (auto& real : web.real_servers) real.inhibit_on_failure = true;
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  bench.apply({web});
  bench.pass(1min);
  REQUIRE(bench.entry(web).destinations.size() == 2);
  CHECK(bench.entry(web).destinations.at({IpAddress::v4(0x0a000002), 8080}).weight == 0);
  CHECK(bench.programmer->status()[0].real_servers[1].weight == 0);
}

TEST_CASE("a real server in many virtual services is probed once and leaves them all in one send",
          "[programming][checks][sharing]") {
  Bench bench;
  std::vector<config::VirtualServer> servers;
  for (std::uint16_t port = 1; port <= 50; ++port) servers.push_back(checked_server(port, 2));
  bench.apply(servers);
  unsigned probes = 0;
  bench.answer = [&](const check::Probe& probe) {
    ++probes;
    return probe.address == IpAddress::v4(0x0a000001) ? refused : connected;
  };
  bench.commands();
  const unsigned sends = bench.kernel.sends;
  bench.pass(2s);
  CHECK(probes <= 4);
  CHECK(bench.commands().size() == 50);
  CHECK(bench.kernel.sends == sends + 1);
}

TEST_CASE("a virtual service stays in the kernel when its last real server goes, and takes the next in",
          "[programming][drain][one-command]") {
  Bench bench;
  const auto none = server(80, 0);
  bench.apply({none});
  CHECK(bench.commands() == Commands{"add virtual service tcp 192.0.2.10:80"});
  CHECK(bench.entry(none).destinations.empty());
  CHECK_FALSE(bench.programmer->status()[0].quorum_up);
  bench.apply({server(80, 1)});
  CHECK(bench.commands() == Commands{"add real server 10.0.0.1:8080 to tcp 192.0.2.10:80"});
  CHECK(bench.programmer->status()[0].quorum_up);
  bench.apply({none});
  CHECK(bench.commands() == Commands{"delete real server 10.0.0.1:8080 from tcp 192.0.2.10:80"});
  CHECK(bench.programmer->settled());
}

// As the controller writes one that terminates.
void drain(config::RealServer& real) {
  real.weight = 0;
  real.checks.clear();
}

TEST_CASE("a real server that drains, comes back, drains and goes is one command each time",
          "[programming][drain][one-command]") {
  Bench bench;
  const auto web = checked_server(80, 3);
  auto draining = web;
  drain(draining.real_servers[1]);
  auto without = web;
  without.real_servers.erase(without.real_servers.begin() + 1);
  bench.apply({web});
  bench.pass(1min);
  bench.commands();
  const Commands change{"change real server 10.0.0.2:8080 of tcp 192.0.2.10:80"};
  bench.apply({draining});
  CHECK(bench.commands() == change);
  CHECK(bench.entry(web).destinations.at({IpAddress::v4(0x0a000002), 8080}).weight == 0);
  bench.apply({web});
  CHECK(bench.commands() == change);
  bench.pass(1min);
  bench.apply({draining});
  CHECK(bench.commands() == change);
  bench.pass(1min);
  bench.apply({without});
  CHECK(bench.commands() == Commands{"delete real server 10.0.0.2:8080 from tcp 192.0.2.10:80"});
}

TEST_CASE("a real server that drains is not probed, and keeps its entry though it accepts nothing any more",
          "[programming][drain][checks]") {
  Bench bench;
  auto web = checked_server(80, 2);
  bench.apply({web});
  bench.pass(1min);
  drain(web.real_servers[1]);
  bench.apply({web});
  bench.commands();
  unsigned probes = 0;
  bench.answer = [&](const check::Probe& probe) {
    if (probe.address != IpAddress::v4(0x0a000002)) return connected;
    ++probes;
    return refused;
  };
  bench.pass(5min);
  CHECK(probes == 0);
  CHECK(bench.commands().empty());
  CHECK(bench.entry(web).destinations.size() == 2);
  const auto service = bench.programmer->status()[0];
  CHECK(service.quorum_up);
  CHECK(service.real_servers[1].draining);
  CHECK(service.real_servers[1].alive);
  CHECK(service.real_servers[1].weight == 0);
}

TEST_CASE("a real server that was dead before it drained is not brought back for that",
          "[programming][drain][checks]") {
  Bench bench;
  auto web = checked_server(80, 2);
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  bench.apply({web});
  bench.pass(1min);
  REQUIRE(bench.entry(web).destinations.size() == 1);
  bench.commands();
  const auto ready = web;
  drain(web.real_servers[1]);
  bench.apply({web});
  bench.pass(1min);
  // Whatever else changes meanwhile.
  web.real_servers[0].weight = 2;
  bench.apply({web});
  CHECK(bench.commands() == Commands{"change real server 10.0.0.1:8080 of tcp 192.0.2.10:80"});
  const auto status = bench.programmer->status()[0].real_servers[1];
  CHECK(status.draining);
  CHECK_FALSE(status.alive);
  // Ready again it is as one that is new: alive until its check says otherwise.
  bench.answer = [](const check::Probe&) { return connected; };
  bench.apply({ready});
  bench.pass(1min);
  CHECK(bench.entry(web).destinations.size() == 2);
  CHECK(bench.programmer->status()[0].real_servers[1].alive);
}

TEST_CASE("with inhibit_on_failure one that is dead and then drains costs no command", "[programming][drain][checks]") {
  Bench bench;
  auto web = checked_server(80, 2);
  for (auto& real : web.real_servers) real.inhibit_on_failure = true;
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  bench.apply({web});
  bench.pass(1min);
  bench.commands();
  drain(web.real_servers[1]);
  bench.apply({web});
  CHECK(bench.commands().empty());
  CHECK(bench.entry(web).destinations.size() == 2);
}

TEST_CASE("what drains is not missed by the quorum, and where all drain there is none",
          "[programming][drain][quorum]") {
  Bench bench;
  auto web = checked_server(80, 3);
  web.quorum = 3;
  bench.apply({web});
  drain(web.real_servers[0]);
  bench.apply({web});
  CHECK(bench.programmer->status()[0].quorum_up);
  drain(web.real_servers[1]);
  drain(web.real_servers[2]);
  bench.apply({web});
  CHECK_FALSE(bench.programmer->status()[0].quorum_up);
  CHECK(bench.entry(web).destinations.size() == 3);
}

TEST_CASE("an alpha service gets each real server with its first success", "[programming][checks][alpha]") {
  Bench bench;
  auto web = checked_server(80, 2);
  web.alpha = true;
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  bench.programmer->apply(delta_of({web}), true, bench.now);
  bench.turn();
  CHECK(bench.entry(web).destinations.empty());
  CHECK_FALSE(bench.programmer->status()[0].quorum_up);
  bench.pass(10ms);
  CHECK(bench.entry(web).destinations.size() == 1);
  CHECK(bench.programmer->status()[0].quorum_up);
}

TEST_CASE("a changed configuration keeps the results of unchanged checks", "[programming][checks][reload]") {
  Bench bench;
  auto web = checked_server(80, 3);
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  bench.apply({web});
  bench.pass(1min);
  REQUIRE(bench.entry(web).destinations.size() == 2);
  bench.commands();
  web.real_servers[0].weight = 5;
  bench.apply({web});
  CHECK(bench.commands() == Commands{"change real server 10.0.0.1:8080 of tcp 192.0.2.10:80"});
  CHECK(bench.entry(web).destinations.size() == 2);
}

TEST_CASE("reloads twice a second do not keep a dead real server in the table", "[programming][checks][reload]") {
  Bench bench;
  auto web = checked_server(80, 3);
  bench.apply({web});
  bench.pass(30s);
  bench.answer = [](const check::Probe& probe) {
    return probe.address == IpAddress::v4(0x0a000002) ? refused : connected;
  };
  for (int i = 0; i < 40; ++i) {
    web.real_servers[0].weight = 1 + i % 2;
    bench.apply({web});
    bench.pass(500ms);
  }
  CHECK(bench.entry(web).destinations.size() == 2);
}

TEST_CASE("the quorum is lost and gained with its hysteresis", "[programming][quorum]") {
  struct Row {
    unsigned quorum, hysteresis, alive;
    bool was_up, is_up;
  };
  // Four real servers of weight 1.
  const Row rows[] = {
      {1, 0, 0, true, false}, {1, 0, 1, false, true}, {3, 0, 2, true, false},  {3, 0, 3, false, true},
      {3, 1, 2, true, true},  {3, 1, 1, true, false}, {3, 1, 3, false, false}, {3, 1, 4, false, true},
      {9, 0, 4, false, true}, {9, 0, 3, true, false}, {2, 2, 0, true, false},
  };
  auto web = checked_server(80, 4);
  for (const Row& row : rows) {
    CAPTURE(row.quorum, row.hysteresis, row.alive, row.was_up);
    web.quorum = row.quorum;
    web.hysteresis = row.hysteresis;
    check::Schedule checks(1);
    for (std::size_t i = 0; i < 4; ++i) {
      checks.acquire(check_target(web.real_servers[i], web.real_servers[i].checks[0]), 1, true, start);
      for (const auto& probe : checks.take_due(start, 10))
        checks.handle(start, probe.id, i < row.alive ? connected : refused);
    }
    CHECK(has_quorum(web, checks, row.was_up) == row.is_up);
  }
}

}  // namespace
}  // namespace vipkeeper::run
