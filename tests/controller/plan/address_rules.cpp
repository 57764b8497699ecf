#include "controller/plan/address_rules.h"

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

TEST_CASE("addresses that can never be a VIP, with the reason", "[plan][addresses]") {
  struct Row {
    const char* address;
    const char* why;
  };
  const Row rows[] = {
      {"0.0.0.0", "is the unspecified address"},
      {"127.0.0.1", "is a loopback address, which no other host can reach"},
      {"127.8.9.10", "is a loopback address, which no other host can reach"},
      {"224.0.0.18", "is a multicast address"},
      {"239.255.255.255", "is a multicast address"},
      {"169.254.1.1", "is a link-local address (169.254.0.0/16, fe80::/10)"},
      {"fe80::1", "is a link-local address (169.254.0.0/16, fe80::/10)"},
      {"ff02::1", "is a multicast address"},
      {"::", "is the unspecified address"},
      {"::1", "is a loopback address, which no other host can reach"},
      {"240.0.0.1", "is in 240.0.0.0/4, which is reserved"},
      {"255.255.255.255", "is the broadcast address"},
      {"10.96.0.10", "is inside --service-cidr 10.96.0.0/12,fd00:1::/112"},
      {"172.16.0.1", "is outside --allowed-vips 10.0.0.0/8,2001:db8::/32"},
      {"2001:db9::1", "is outside --allowed-vips 10.0.0.0/8,2001:db8::/32"},
      {"10.0.0.255", "is the network or broadcast address of 10.0.0.4/24 on eth0"},
      {"10.0.0.0", "is the network or broadcast address of 10.0.0.4/24 on eth0"},
      {"10.0.0.50", ""},
      {"10.0.1.255", ""},
      {"2001:db8::50", ""},
  };
  auto with = options();
  with.service_cidrs = {cidr("10.96.0.0/12"), cidr("fd00:1::/112")};
  with.allowed_vips = {cidr("10.0.0.0/8"), cidr("2001:db8::/32")};
  for (const auto& row : rows) {
    INFO(row.address);
    CHECK(refuse_address(ip(row.address), with, eth0()) == row.why);
  }
}

TEST_CASE("without flags any unicast address may be a VIP", "[plan][addresses]") {
  for (const char* address : {"10.96.0.10", "172.16.0.1", "192.0.2.1", "8.8.8.8"}) {
    CHECK(refuse_address(ip(address), options(), {}).empty());
  }
}

TEST_CASE("addresses that objects have already, with the owner", "[plan][addresses]") {
  auto with_ips = service({port(80, 80)});
  with_ips.cluster_ips = {ip("10.96.0.7")};
  with_ips.other_addresses = {ip("10.0.0.60")};
  auto ranged = node("10.0.0.5");
  ranged.pod_cidrs = {cidr("10.2.1.0/24")};
  ranged.external_addresses = {ip("198.51.100.5")};
  auto pods = slice("web", {on(80)}, {ready("10.9.0.1"), ready("10.9.0.2")});
  pods.endpoints[0].is_pod = true;
  Snapshot snapshot(options());
  Touched touched;
  for (const auto& change :
       {is("default/web", with_ips), is("n2", ranged), is("default/web-1", pods),
        is("default/p", objects::Pod{.node_name = "n2", .node_selector = {}, .addresses = {ip("10.9.0.3")}})}) {
    snapshot.apply(change, touched);
  }
  struct Row {
    const char* address;
    const char* why;
  };
  const Row rows[] = {
      {"10.96.0.7", "is the address of Service default/web"},
      {"10.0.0.5", "is the address of Node n2"},
      // The Node is known by its InternalIP.
      {"198.51.100.5", ""},
      {"10.2.1.99", "is inside the podCIDRs of Node n2"},
      {"10.9.0.1", "is the address of a pod"},
      {"10.9.0.3", "is the address of a pod"},
      // The pattern `ADDRESS: ""` with Service.spec.externalIPs, where kube-proxy forwards what the VIP brings.
      {"10.0.0.60", ""},
      // An endpoint that is no pod may be another host, and this VIP itself.
      {"10.9.0.2", ""},
      {"10.2.2.1", ""},
  };
  for (const auto& row : rows) {
    INFO(row.address);
    CHECK(refuse_used_address(ip(row.address), snapshot) == row.why);
  }
}

TEST_CASE("an address belongs to the interface with the longest subnet that holds it",
          "[plan][addresses][interfaces]") {
  const auto subnets = subnets_of({{"lo", cidr("127.0.0.1/8")},
                                   {"eth0", cidr("10.0.0.4/24")},
                                   {"eth1", cidr("10.0.0.77/24")},
                                   {"eth2", cidr("10.0.0.9/28")},
                                   {"eth3", cidr("192.168.0.2/16")},
                                   {"eth3", cidr("10.7.7.7/32")},
                                   {"docker0", cidr("172.17.0.1/16")},
                                   {"veth12", cidr("172.18.0.1/16")},
                                   {"bad{name", cidr("172.20.0.1/16")},
                                   {"cali12ab", cidr("172.19.0.1/16")}});
  CHECK(interface_for(ip("10.0.0.50"), subnets, "eth0") == "eth0");
  CHECK(interface_for(ip("10.0.0.50"), subnets, "eth1") == "eth1");
  CHECK(interface_for(ip("10.0.0.3"), subnets, "eth0") == "eth2");
  CHECK(interface_for(ip("192.168.9.9"), subnets, "eth0") == "eth3");
  for (const char* nowhere :
       {"10.7.7.7", "172.17.0.9", "172.18.0.9", "172.19.0.9", "172.20.0.9", "127.0.0.9", "8.8.8.8"}) {
    CHECK(interface_for(ip(nowhere), subnets, "eth0").empty());
  }
}

}  // namespace
}  // namespace vipkeeper::plan
