#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/engine/run/programming_bench.h"
#include "tests/support/temporary_directory.h"

namespace vipkeeper::run {
namespace {

TEST_CASE("a new configuration is in the kernel after one turn, with one read and one send", "[programming]") {
  Bench bench;
  std::vector<config::VirtualServer> servers;
  for (std::uint16_t port = 1; port <= 500; ++port) servers.push_back(server(port, 4));
  CHECK_FALSE(bench.programmer->settled());
  bench.apply(servers);
  CHECK(bench.kernel.table.size() == 500);
  CHECK(bench.kernel.table_reads == 1);
  CHECK(bench.kernel.sends == 1);
  CHECK(bench.programmer->settled());
}

TEST_CASE("one endpoint's change is one command and no read", "[programming][one-command]") {
  Bench bench;
  std::vector<config::VirtualServer> servers;
  for (std::uint16_t port = 1; port <= 100; ++port) servers.push_back(server(port, 4));
  bench.apply(servers);
  bench.commands();
  const unsigned reads = bench.kernel.table_reads + bench.kernel.service_reads;

  servers[50].real_servers.pop_back();
  bench.apply({servers[50]});
  CHECK(bench.commands() == Commands{"delete real server 10.0.0.4:8080 from tcp 192.0.2.10:51"});
  servers[50].real_servers[0].weight = 9;
  bench.apply({servers[50]});
  CHECK(bench.commands() == Commands{"change real server 10.0.0.1:8080 of tcp 192.0.2.10:51"});
  servers[50].real_servers[0].upper_threshold = 100;
  bench.apply({servers[50]});
  CHECK(bench.commands() == Commands{"change real server 10.0.0.1:8080 of tcp 192.0.2.10:51"});
  CHECK(bench.kernel.table_reads + bench.kernel.service_reads == reads);
}

TEST_CASE("a host without virtual services never touches IPVS", "[programming][no-ipvs]") {
  Bench bench;
  bench.apply({});
  bench.pass(10min);
  CHECK(bench.kernel.table_reads == 0);
  CHECK(bench.programmer->settled());
  CHECK(bench.lines.empty());
}

TEST_CASE("without ip_vs one line tells the remedy, it is tried each 30 s, and loading it heals",
          "[programming][no-ipvs]") {
  Bench bench;
  bench.kernel.read_error = ipvs::TableError{{ErrorCode::unsupported, "no IPVS: modprobe ip_vs"}};
  bench.apply({server(80, 2)});
  bench.pass(119s);
  CHECK(bench.kernel.table_reads == 4);
  CHECK(bench.lines.size() == 1);
  CHECK(bench.said("modprobe ip_vs"));
  CHECK_FALSE(bench.programmer->settled());
  REQUIRE(bench.problems().size() == 1);
  bench.kernel.read_error.reset();
  bench.pass(2s);
  CHECK(bench.kernel.table.size() == 1);
  CHECK(bench.programmer->settled());
  CHECK(bench.problems().empty());
}

TEST_CASE("a refused command is logged once with its context, tried again, and others go on", "[programming][errors]") {
  Bench bench;
  bench.kernel.refuse = [](const ipvs::Operation& operation) -> std::optional<FakeKernel::Refusal> {
    const auto* add = std::get_if<ipvs::AddDestination>(&operation);
    if (add == nullptr || add->service.port != 80 || add->key.address != IpAddress::v4(0x0a000002)) return std::nullopt;
    return ipvs::OperationError{Kind::refused, "Invalid argument"};
  };
  bench.apply({server(80, 3), server(81, 3)});
  bench.pass(5min);
  CHECK(bench.entry(server(80, 3)).destinations.size() == 2);
  CHECK(bench.entry(server(81, 3)).destinations.size() == 3);
  const std::string expected = "add real server 10.0.0.2:8080 to tcp 192.0.2.10:80: Invalid argument";
  CHECK(std::ranges::count(bench.lines, expected) == 1);
  CHECK(bench.programmer->settled());
  REQUIRE(bench.problems().size() == 1);
  CHECK(bench.problems()[0].message == expected);
  CHECK(bench.programmer->counters().kernel_errors > 5);

  bench.kernel.refuse = nullptr;
  bench.pass(31s);
  CHECK(bench.entry(server(80, 3)).destinations.size() == 3);
  CHECK(bench.problems().empty());
}

TEST_CASE("kill -9 at any command and a restart end at the desired table, foreign services untouched",
          "[programming][crash]") {
  const ipvs::ServiceKey foreign{Protocol::tcp, IpAddress::v4(0x05050505), 1, 0, Family::ipv4};
  const ipvs::ServiceEntry foreign_entry{{"rr", 0, 0, 32}, {{{IpAddress::v4(0x06060606), 2}, {}}}};
  std::vector<config::VirtualServer> before, after;
  for (std::uint16_t port = 1; port <= 4; ++port) before.push_back(server(port, 2));
  for (std::uint16_t port = 3; port <= 6; ++port) after.push_back(server(port, 3));
  for (std::size_t death = 0; death <= 40; ++death) {
    CAPTURE(death);
    tests::TemporaryDirectory directory;
    {
      auto record = Ownership::open(directory.path);
      Bench bench(record.get());
      bench.kernel.table[foreign] = foreign_entry;
      // From this command on nothing reaches the kernel: the process is dead.
      bench.kernel.refuse = [&](const ipvs::Operation&) -> std::optional<FakeKernel::Refusal> {
        if (bench.kernel.commands.size() <= death) return std::nullopt;
        return ipvs::TableError{{ErrorCode::unavailable, "dead"}};
      };
      bench.apply(before);
      VirtualServers change = delta_of(after);
      change[before[0].key] = nullptr;
      change[before[1].key] = nullptr;
      bench.programmer->apply(change, true, bench.now);
      bench.turn();

      const ipvs::Table left = bench.kernel.table;
      auto next_record = Ownership::open(directory.path);
      REQUIRE(next_record);
      Bench next(next_record.get());
      next.kernel.table = left;
      next.apply({after[0]}, false);  // what it learns first: not everything yet
      for (const auto& [key, entry] : left) REQUIRE(next.kernel.table.contains(key));
      next.apply(after, true);
      ipvs::Table desired{{foreign, foreign_entry}};
      for (const auto& server : after) desired[service_key(server.key)] = desired_entry(server);
      REQUIRE(next.kernel.table == desired);
      REQUIRE(next.programmer->settled());
      std::set<ipvs::ServiceKey> own;
      for (const auto& server : after) own.insert(service_key(server.key));
      REQUIRE(Ownership::open_read_only(directory.path)->services() == own);
    }
  }
}

TEST_CASE("what an earlier run left stays until everything desired was told", "[programming][adoption]") {
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  record->claim(std::vector{service_key(server(80).key), service_key(server(81).key)});
  Bench bench(record.get());
  bench.kernel.table = {{service_key(server(80).key), desired_entry(server(80))},
                        {service_key(server(81).key), desired_entry(server(81))}};
  bench.apply({server(80)}, false);
  bench.pass(1h);
  CHECK(bench.commands().empty());
  CHECK_FALSE(bench.programmer->settled());
  CHECK(bench.said("adopted from an earlier run: 2"));
  bench.apply({}, true);
  CHECK(bench.commands() == Commands{"delete virtual service tcp 192.0.2.10:81"});
  CHECK(record->services() == std::set{service_key(server(80).key)});
}

TEST_CASE("a desired service that is in the kernel without a record is adopted, and said so",
          "[programming][adoption]") {
  Bench bench;
  bench.kernel.table[service_key(server(80).key)] = desired_entry(server(80, 1));
  bench.kernel.table[service_key(server(99).key)] = desired_entry(server(99, 1));
  bench.apply({server(80, 2)});
  CHECK(bench.commands() == Commands{"add real server 10.0.0.2:8080 to tcp 192.0.2.10:80"});
  CHECK(bench.said("nothing records that this program made them: 1"));
  bench.lines.clear();
  bench.apply({server(99, 2)});
  CHECK(bench.commands() == Commands{"add real server 10.0.0.2:8080 to tcp 192.0.2.10:99"});
  CHECK(bench.said("virtual service tcp 192.0.2.10:99 is in the kernel already, adopting it"));
}

TEST_CASE("a removed virtual server is deleted and its record released", "[programming]") {
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  Bench bench(record.get());
  bench.apply({server(80), server(81)});
  bench.commands();
  bench.remove(server(80));
  CHECK(bench.commands() == Commands{"delete virtual service tcp 192.0.2.10:80"});
  CHECK(record->services() == std::set{service_key(server(81).key)});
  bench.remove(server(82));
  CHECK(bench.commands().empty());
}

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

TEST_CASE("an audit puts right what someone else did to our services, and says so", "[programming][audit]") {
  Bench bench(nullptr, 30s);
  bench.apply({server(80, 2), server(81, 2)});
  bench.kernel.table.erase(service_key(server(80).key));
  bench.entry(server(81)).destinations.clear();
  bench.pass(31s);
  CHECK(bench.entry(server(80)).destinations.size() == 2);
  CHECK(bench.entry(server(81)).destinations.size() == 2);
  CHECK(bench.said("changed by someone else, being put right: 2"));
  CHECK(bench.programmer->counters().table_reads == 1);
  CHECK(bench.programmer->counters().table_audits == 1);
}

TEST_CASE("a switch that the kernel lacks is said once, stands in the status, and is gone when it is set",
          "[programming][audit][switches]") {
  Bench bench;
  std::vector<status::Problem> lacking{{false, "net.ipv4.ip_forward", "is 0"}};
  unsigned asked = 0;
  bench.restart(30s, [&] {
    ++asked;
    return lacking;
  });
  bench.pass(1min);
  CHECK(asked == 0);  // nothing is to be balanced: nothing is missed
  CHECK(bench.problems().empty());
  bench.apply({server(80, 2)});
  bench.pass(100s);
  CHECK(asked == 4);
  CHECK(bench.problems() == lacking);
  CHECK(std::ranges::count(bench.lines, "net.ipv4.ip_forward is 0") == 1);
  lacking.clear();
  bench.pass(30s);
  CHECK(bench.problems().empty());
}

TEST_CASE("a record that cannot be written holds up no service and is written when it can be",
          "[programming][record]") {
  tests::TemporaryDirectory directory;
  const std::string run_dir = directory.path + "/run";
  std::ofstream(run_dir) << "in the way";
  Bench bench;
  const auto record = Ownership::open(run_dir, [&bench] { return bench.now; });
  bench.ownership = record.get();
  bench.restart();
  bench.apply({server(80), server(81)});
  bench.pass(1h);
  CHECK(bench.entry(server(80)).destinations.size() == 1);
  CHECK(bench.programmer->settled());
  CHECK(record->problems().size() == 1);

  std::filesystem::remove(run_dir);
  bench.pass(60s);
  CHECK(record->problems().empty());
  CHECK(Ownership::open_read_only(run_dir)->services().size() == 2);
}

TEST_CASE("resync reads the table at once", "[programming][audit]") {
  Bench bench;
  bench.apply({server(80, 2)});
  bench.kernel.table.clear();
  bench.programmer->resync();
  CHECK_FALSE(bench.programmer->settled());
  bench.turn();
  CHECK(bench.entry(server(80)).destinations.size() == 2);
  CHECK(bench.programmer->settled());
}

TEST_CASE("at the end own services go, adopted ones too, and foreign ones stay", "[programming][shutdown]") {
  tests::TemporaryDirectory directory;
  auto record = Ownership::open(directory.path);
  record->claim(std::vector{service_key(server(82).key)});
  Bench bench(record.get());
  bench.kernel.table[service_key(server(82).key)] = desired_entry(server(82));
  bench.kernel.table[service_key(server(99).key)] = desired_entry(server(99));
  bench.apply({server(80), server(81)}, false);
  bench.programmer->remove_all(bench.now);
  CHECK(bench.kernel.table.size() == 1);
  CHECK(bench.kernel.table.contains(service_key(server(99).key)));
  CHECK(record->services().empty());
}

TEST_CASE("direct routing and tunnels keep the virtual service's port", "[programming][translation]") {
  auto web = server(80, 1);
  web.real_servers[0].port = 8080;
  for (const auto method : {config::ForwardingMethod::direct, config::ForwardingMethod::tunnel}) {
    web.real_servers[0].method = method;
    CHECK(desired_entry(web).destinations.begin()->first.port == 80);
  }
  web.real_servers[0].method = config::ForwardingMethod::masquerade;
  CHECK(desired_entry(web).destinations.begin()->first.port == 8080);
}

TEST_CASE("the status shows each field that interface.md promises", "[programming][status]") {
  Bench bench;
  auto web = checked_server(80, 2);
  web.comment = "default/web";
  web.scheduler = "rr";
  web.persistence_seconds = 300;
  web.real_servers[1].weight = 0;
  bench.apply({web});
  bench.pass(3s);
  const auto all = bench.programmer->status();
  REQUIRE(all.size() == 1);
  CHECK(all[0].protocol == "tcp");
  CHECK(all[0].address == "192.0.2.10");
  CHECK(all[0].port == 80);
  CHECK(all[0].scheduler == "rr");
  CHECK(all[0].persistence_seconds == 300);
  CHECK(all[0].service == "default/web");
  CHECK(all[0].quorum_up);
  REQUIRE(all[0].real_servers.size() == 2);
  const auto& real = all[0].real_servers[0];
  CHECK(real.address == "10.0.0.1");
  CHECK(real.port == 8080);
  CHECK(real.method == "masquerade");
  CHECK(real.weight == 1);
  CHECK(real.alive);
  CHECK_FALSE(real.draining);
  CHECK(real.check == "tcp: connected in 0.4 ms");
  CHECK(all[0].real_servers[1].draining);
}

TEST_CASE("counters of the kernel are added to the entries they belong to", "[programming][status]") {
  Bench bench;
  bench.apply({server(80, 2), server(81, 1)});
  auto all = bench.programmer->status();
  ipvs::ServiceStats stats{10, 20, 30, {{{IpAddress::v4(0x0a000002), 8080}, {4, 5}}}};
  add_stats(all, {{service_key(server(80).key), stats}});
  CHECK(all[0].connections == 10);
  CHECK(all[0].bytes_in == 20);
  CHECK(all[0].bytes_out == 30);
  CHECK(all[0].real_servers[0].active_connections == 0);
  CHECK(all[0].real_servers[1].active_connections == 4);
  CHECK(all[0].real_servers[1].inactive_connections == 5);
  CHECK(all[1].connections == 0);
}

TEST_CASE("what was done is counted by kind", "[programming][counters]") {
  Bench bench;
  bench.apply({checked_server(80, 2)});
  bench.pass(3s);
  status::Counters counters;
  bench.programmer->counters().add_to(counters);
  CHECK(counters.at("kernel_operations{kind=\"service_add\"}") == 1);
  CHECK(counters.at("kernel_operations{kind=\"destination_add\"}") == 2);
  CHECK(counters.at("kernel_operations{kind=\"destination_delete\"}") == 0);
  CHECK(counters.at("checks{result=\"connected\"}") >= 2);
  CHECK(counters.at("table_reads") == 1);
  CHECK(counters.at("kernel_errors") == 0);
}

}  // namespace
}  // namespace vipkeeper::run
