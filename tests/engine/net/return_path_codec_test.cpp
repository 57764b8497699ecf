// What the two ways of making the rules send and understand; that a kernel takes it is the lab's to show.

#include <arpa/inet.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <catch2/catch.hpp>

#include "engine/net/filter/iptables_rules.h"
#include "engine/net/filter/nft_rules.h"

namespace vipkeeper::net {
namespace {

using namespace return_path;

const ServicePort web{IpAddress::v4(0xc0000232), Protocol::tcp, 80};
const ServicePort dns{IpAddress::v4(0xc0000232), Protocol::udp, 53};
const ServicePort web6{*IpAddress::parse("2001:db8::50"), Protocol::tcp, 80};

TEST_CASE("elements of one set go into one nft command, in the order given", "[masquerade][nftables]") {
  const std::vector<Operation> operations{
      DeleteService{web, Masquerade::automatic},   AddService{web, Masquerade::always},
      AddService{dns, Masquerade::always},         AddNear{*IpPrefix::parse("10.2.1.0/24")},
      DeleteNear{*IpPrefix::parse("10.2.2.7/32")},
  };
  CHECK(nft_commands("vipkeeper", Family::ipv4, operations) ==
        "delete element ip vipkeeper auto { 192.0.2.50 . 6 . 80 }\n"
        "add element ip vipkeeper always { 192.0.2.50 . 6 . 80, 192.0.2.50 . 17 . 53 }\n"
        "add element ip vipkeeper near { 10.2.1.0/24 }\n"
        "delete element ip vipkeeper near { 10.2.2.7/32 }\n");
  const std::vector<Operation> one{AddService{web6, Masquerade::automatic}};
  CHECK(nft_commands("x", Family::ipv6, one) == "add element ip6 x auto { 2001:db8::50 . 6 . 80 }\n");
  const std::vector<Operation> removal{RemoveScaffold{}};
  CHECK(nft_commands("x", Family::ipv4, removal) == "add table ip x\ndelete table ip x\n");
}

TEST_CASE("a table that nft lists reads back as its elements, and a shape without them", "[masquerade][nftables]") {
  const auto listed = [](const std::string& elements, int handle) {
    return R"({"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "ip", "name": "vipkeeper", "handle": )" +
           std::to_string(handle) +
           R"(}}, {"set": {"family": "ip", "name": "auto", "type": ["ipv4_addr"], "handle": 6)" + elements +
           R"(}}, {"set": {"name": "near", "elem": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, "10.1.2.3"]}}]})";
  };
  const auto full = parse_nft_table(
      listed(R"(, "elem": [{"concat": ["192.0.2.50", 6, 80]}, {"concat": ["192.0.2.50", "udp", 53]}])", 1));
  REQUIRE(full);
  CHECK(full->rules.services ==
        std::map<ServicePort, Masquerade>{{web, Masquerade::automatic}, {dns, Masquerade::automatic}});
  CHECK(full->rules.near == std::set<IpPrefix>{*IpPrefix::parse("10.0.0.0/24"), *IpPrefix::parse("10.1.2.3/32")});
  const auto empty = parse_nft_table(listed("", 9));
  REQUIRE(empty);
  CHECK(empty->rules.services.empty());
  CHECK(empty->shape == full->shape);
  for (const std::string bad :
       {"", "{", "[]", R"({"nftables": [{"set": {"name": "auto", "elem": [{"concat": [1]}]}}]})"}) {
    CAPTURE(bad);
    const auto refused = parse_nft_table(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::io);
  }
}

TEST_CASE("of an iptables-save only this instance's lines count, counters aside", "[masquerade][iptables]") {
  const std::string saved =
      "# Generated\n*nat\n:PREROUTING ACCEPT [3:4]\n:KUBE-SERVICES - [0:0]\n:VIPKEEPER-POST - [7:8]\n"
      ":VIPKEEPER-POST-0badcafe - [0:0]\n-A PREROUTING -j KUBE-SERVICES\n"
      "-A PREROUTING -m comment --comment \"vipkeeper: connections to virtual IPs\" -j VIPKEEPER-PRE\n"
      "-A OUTPUT -j VIPKEEPER-PRE-0badcafe\n-A VIPKEEPER-POST -j MASQUERADE\nCOMMIT\n";
  CHECK(own_iptables_lines("", saved) ==
        std::vector<std::string>{
            ":VIPKEEPER-POST -",
            "-A PREROUTING -m comment --comment \"vipkeeper: connections to virtual IPs\" -j VIPKEEPER-PRE",
            "-A VIPKEEPER-POST -j MASQUERADE"});
  CHECK(own_iptables_lines("-0badcafe", saved) ==
        std::vector<std::string>{":VIPKEEPER-POST-0badcafe -", "-A OUTPUT -j VIPKEEPER-PRE-0badcafe"});
  CHECK(own_iptables_lines("", "").empty());
}

TEST_CASE("chains are made anew with one jump each, whatever was there of them", "[masquerade][iptables]") {
  const std::vector<std::string> present{":VIPKEEPER-PRE -", "-A OUTPUT -j VIPKEEPER-PRE",
                                         "-A VIPKEEPER-POST -j MASQUERADE"};
  const std::string text = iptables_scaffold("", Family::ipv4, present);
  CHECK(text.find("-D OUTPUT -j VIPKEEPER-PRE\n") != std::string::npos);
  CHECK(text.find("-D VIPKEEPER-POST") == std::string::npos);
  CHECK(text.find(":VIPKEEPER-PRE - [0:0]\n") < text.find("-D OUTPUT"));
  CHECK(text.find("--match-set vipkeeper-auto-4 dst,dst") != std::string::npos);
  CHECK(text.ends_with("COMMIT\n"));
  CHECK(iptables_scaffold("-1", Family::ipv6, {}).find("vipkeeper-near-6-1") != std::string::npos);
  CHECK(iptables_removal("", present) ==
        "*nat\n-D OUTPUT -j VIPKEEPER-PRE\n-F VIPKEEPER-PRE\n-X VIPKEEPER-PRE\nCOMMIT\n");
}

// One answer to IPSET_CMD_LIST with the elements of both kinds, as the kernel writes them.
MessagePtr ipset_answer() {
  const nfgenmsg header{AF_INET, NFNETLINK_V0, 0};
  auto message = new_message((NFNL_SUBSYS_IPSET << 8) | IPSET_CMD_LIST, 0, header);
  nl_msg* raw = message.get();
  nlattr* list = nla_nest_start(raw, IPSET_ATTR_ADT | NLA_F_NESTED);
  for (const bool with_port : {true, false}) {
    nlattr* data = nla_nest_start(raw, IPSET_ATTR_DATA | NLA_F_NESTED);
    nlattr* ip = nla_nest_start(raw, IPSET_ATTR_IP | NLA_F_NESTED);
    const auto bytes = web.address.bytes();
    nla_put(raw, IPSET_ATTR_IPADDR_IPV4 | NLA_F_NET_BYTEORDER, 4, bytes.data());
    nla_nest_end(raw, ip);
    if (with_port) {
      nla_put_u16(raw, IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, htons(80));
      nla_put_u8(raw, IPSET_ATTR_PROTO, 6);
    } else {
      nla_put_u8(raw, IPSET_ATTR_CIDR, 24);
    }
    nla_nest_end(raw, data);
  }
  nla_nest_end(raw, list);
  return message;
}

TEST_CASE("the elements of an ip_set read back, however short the answer is cut", "[masquerade][iptables]") {
  const auto answer = ipset_answer();
  nlmsghdr& header = *nlmsg_hdr(answer.get());
  const auto elements = parse_ipset_elements(header);
  REQUIRE(elements.size() == 2);
  CHECK(std::get<ServicePort>(elements[0]) == web);
  CHECK(std::get<IpPrefix>(elements[1]) == IpPrefix{web.address, 24});
  for (std::uint32_t size = header.nlmsg_len; size >= NLMSG_HDRLEN + sizeof(nfgenmsg); --size) {
    header.nlmsg_len = size;
    CHECK(parse_ipset_elements(header).size() <= 2);
  }
}

}  // namespace
}  // namespace vipkeeper::net
