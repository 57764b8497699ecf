#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "controller/report/metrics.h"
#include "controller/report/status_json.h"
#include "controller/report/status_table.h"

using namespace vipkeeper;

namespace {

status::Snapshot example() {
  status::Snapshot snapshot;
  snapshot.version = "1.2.3";
  snapshot.node = "node1";
  snapshot.pid = 7;
  snapshot.uptime_seconds = 12.5;
  snapshot.config = {7,
                     WallTime(std::chrono::milliseconds(1'700'000'000'123)),
                     "manifests",
                     true,
                     {{true, "ConfigMap default/vip-configmap key 10.0.0.50", "no such thing"}}};
  status::VirtualRouterStatus router;
  router.name = "vips";
  router.vrid = 50;
  router.interface = "eth0";
  router.state = "MASTER";
  router.since = WallTime(std::chrono::seconds(1'700'000'000));
  router.priority = 101;
  router.effective_priority = 99;
  router.advert_interval_seconds = 0.1;
  router.addresses = {{"10.0.0.50/32", "eth0", true}};
  router.counters.adverts_sent = 3;
  router.counters.discarded["ttl"] = 2;
  router.transitions = {{WallTime(std::chrono::seconds(1'700'000'000)), "BACKUP", "MASTER", "no advertisement"}};
  snapshot.virtual_routers = {router};
  status::VirtualServiceStatus service;
  service.protocol = "tcp";
  service.address = "10.0.0.50";
  service.port = 80;
  service.scheduler = "wlc";
  service.service = "default/web";
  service.quorum_up = true;
  service.connections = 5;
  service.real_servers = {{"10.2.0.5", 8080, "masquerade", 1, true, false, "tcp: connected in 0.4 ms", 2, 1},
                          {"10.2.0.6", 8080, "masquerade", 0, false, false, "tcp: refused", 0, 0}};
  service.masquerade = "auto";
  snapshot.virtual_services = {service};
  snapshot.return_path = {"nftables", 1, {"10.2.1.0/24"}, true};
  snapshot.counters = {{"kernel_operations{kind=\"destination_add\"}", 4}, {"fragments_parsed", 9}};
  return snapshot;
}

}  // namespace

TEST_CASE("status --json has the contract's fields and types", "[report][interface-status-json]") {
  const auto json = nlohmann::json::parse(report::status_json(example()));
  CHECK(json["version"] == "1.2.3");
  CHECK(json["config"]["applied_at"] == "2023-11-14T22:13:20.123Z");
  CHECK(json["config"]["problems"][0]["severity"] == "error");
  const auto& router = json["virtual_routers"][0];
  CHECK(router["family"] == "ipv4");
  CHECK(router["active_router"].is_null());
  CHECK(router["addresses"][0]["present"] == true);
  for (const char* reason : {"ttl", "checksum", "version", "vrid", "length", "auth", "address_list", "source"}) {
    CHECK(router["counters"]["discarded"].contains(reason));
  }
  CHECK(router["counters"]["discarded"]["ttl"] == 2);
  const auto& service = json["virtual_services"][0];
  CHECK(service["fwmark"].is_null());
  CHECK(service["port"] == 80);
  CHECK(service["real_servers"][0]["check"] == "tcp: connected in 0.4 ms");
  CHECK(service["masquerade"] == "auto");
  CHECK(json["return_path"] ==
        nlohmann::json{{"way", "nftables"}, {"services", 1}, {"networks", {"10.2.1.0/24"}}, {"in_place", true}});
  CHECK(nlohmann::json::parse(report::status_json({}))["return_path"]["way"].is_null());
}

TEST_CASE("the status table says which way replies come back", "[report][masquerade]") {
  const auto table = [](const status::ReturnPathStatus& path) {
    auto snapshot = example();
    snapshot.return_path = path;
    return report::status_table(report::status_json(snapshot), 1'700'000'060.0, false).value();
  };
  CHECK(table({"nftables", 1, {"10.2.1.0/24"}, true})
            .ends_with("\nmasquerading by nftables: 1 virtual services; auto leaves out 10.2.1.0/24\n"));
  CHECK(table({"iptables", 3, {}, false}).ends_with("\nmasquerading by iptables: 3 virtual services; NOT IN PLACE\n"));
  CHECK(table({}).find("masquerading by") == std::string::npos);
}

TEST_CASE("a name that is no UTF-8 does not cost the whole status", "[report]") {
  auto snapshot = example();
  snapshot.node = "bad\xff";
  CHECK(nlohmann::json::accept(report::status_json(snapshot)));
}

TEST_CASE("the status table shows who holds what and which real server is dead", "[report]") {
  const auto table = report::status_table(report::status_json(example()), 1'700'000'060.0, false);
  REQUIRE(table);
  INFO(*table);
  CHECK(table->find("vips") != std::string::npos);
  CHECK(table->find("60 s") != std::string::npos);
  CHECK(table->find("99 (configured 101)") != std::string::npos);
  CHECK(table->find("10.0.0.50/32 (held)") != std::string::npos);
  CHECK(table->find("tcp 10.0.0.50:80") != std::string::npos);
  CHECK(table->find("tcp: refused") != std::string::npos);
  CHECK(table->find("error: ConfigMap default/vip-configmap key 10.0.0.50: no such thing") != std::string::npos);
  CHECK(table->find('\x1b') == std::string::npos);
}

TEST_CASE("a real server that drains is alive in status, and the table says draining", "[report][drain]") {
  auto snapshot = example();
  snapshot.virtual_services[0].real_servers[1] = {"10.2.0.6", 8080, "masquerade", 0, true, true, "", 3, 0};
  const auto text = report::status_json(snapshot);
  const auto server = nlohmann::json::parse(text)["virtual_services"][0]["real_servers"][1];
  CHECK(server["draining"] == true);
  CHECK(server["alive"] == true);
  const auto table = report::status_table(text, 0, false).value();
  const auto row = table.find("10.2.0.6:8080");
  REQUIRE(row != std::string::npos);
  CHECK(table.substr(row, table.find('\n', row) - row).find("  0       draining") != std::string::npos);
}

TEST_CASE("text that is no status is an error, not a table", "[report]") {
  for (const char* bad : {"", "{", "[]", "{}", R"({"config": 1})"}) CHECK_FALSE(report::status_table(bad, 0, false));
}

TEST_CASE("metrics carry state, counters by label and totals", "[report]") {
  const auto text = report::metrics_text(example());
  INFO(text);
  const std::string labels = R"(router="vips",vrid="50",family="ipv4",interface="eth0")";
  CHECK(text.find("vipkeeper_vrrp_state{" + labels + R"(,state="MASTER"} 1)") != std::string::npos);
  CHECK(text.find("vipkeeper_vrrp_state{" + labels + R"(,state="BACKUP"} 0)") != std::string::npos);
  CHECK(text.find(R"(vipkeeper_kernel_operations_total{kind="destination_add"} 4)") != std::string::npos);
  CHECK(text.find("vipkeeper_fragments_parsed_total 9") != std::string::npos);
  CHECK(text.find(R"(vipkeeper_config_problems{severity="error"} 1)") != std::string::npos);
}
