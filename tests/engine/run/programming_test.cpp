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
