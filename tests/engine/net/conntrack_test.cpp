#include "engine/net/netlink/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/msg.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string_view>

namespace vipkeeper::net {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

std::string hex_of(const void* data, std::size_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : std::span(static_cast<const std::byte*>(data), size)) {
    text += digits[std::to_integer<std::size_t>(byte) >> 4U];
    text += digits[std::to_integer<std::size_t>(byte) & 15U];
  }
  return text;
}

nlmsghdr& message_in(Bytes& bytes) { return *static_cast<nlmsghdr*>(static_cast<void*>(bytes.data())); }

// Answers of Linux 6.1 to a dump, after one datagram from port 40000 of a host to its own port 514.
constexpr std::string_view head_v4 = "a40000000001020001000000e002000002000000";
constexpr std::string_view original_v4 =
    "34000180"
    "14000180"
    "08000100c0000201"
    "08000200c0000201"
    "1c000280"
    "0500010011000000"
    "060002009c400000"
    "0600030002020000";
constexpr std::string_view reply_v4 =
    "34000280"
    "14000180"
    "08000100c0000201"
    "08000200c0000201"
    "1c000280"
    "0500010011000000"
    "0600020002020000"
    "060003009c400000";
constexpr std::string_view state =
    "0800030000000188"
    "0800080000000000";
constexpr std::string_view id_v4 = "08000c0012bb64ea";
constexpr std::string_view rest_v4 =
    "08000b0000000001"
    "080007000000001d";
constexpr std::string_view answer_v6 =
    "d40000000001020001000000e00200000a0000004c0001802c0001801400030020010db80000000000000000000000011400040020010db800"
    "00000000000000000000011c00028005000100110000000600020"
    "09c40000006000300020200004c0002802c0001801400030020010db80000000000000000000000011400040020010db800000000000000000"
    "0"
    "0000011c00028005000100110000000600020002020000060003009c4000000800030000000188080008000000000008000c00ffc9e2380800"
    "0b0000000001080007000000001e";

Bytes answer_v4(std::string_view reply = reply_v4) {
  std::string hex;
  for (const auto part : {head_v4, original_v4, reply, state, id_v4, rest_v4}) hex += part;
  return bytes_of(hex);
}

TEST_CASE("an entry of the kernel's connection tracking reads as its ends", "[conntrack]") {
  auto v4 = answer_v4();
  const auto flow = parse_tracked_flow(message_in(v4));
  REQUIRE(flow);
  CHECK(flow->protocol == 17);
  CHECK(flow->source == FlowEnd{IpAddress::v4(0xc0000201), 40000});
  CHECK(flow->destination == FlowEnd{IpAddress::v4(0xc0000201), 514});
  CHECK_FALSE(flow->is_masqueraded());
  auto v6 = bytes_of(answer_v6);
  const auto flow6 = parse_tracked_flow(message_in(v6));
  REQUIRE(flow6);
  CHECK(flow6->destination == FlowEnd{*IpAddress::parse("2001:db8::1"), 514});
  CHECK_FALSE(flow6->is_masqueraded());
}

TEST_CASE("a flow is masqueraded whose answers go to another address or port than its source", "[conntrack]") {
  for (const auto& [from, to] : {std::pair{"08000200c0000201", "08000200c000020b"},     // to 192.0.2.11
                                 std::pair{"060003009c400000", "06000300c3500000"}}) {  // to port 50000
    std::string reply(reply_v4);
    const auto place = reply.find(from);
    REQUIRE(place != std::string::npos);
    reply.replace(place, 16, to);
    auto bytes = answer_v4(reply);
    const auto flow = parse_tracked_flow(message_in(bytes));
    REQUIRE(flow);
    CHECK(flow->is_masqueraded());
  }
}

TEST_CASE("to delete an entry is to name its original tuple and its id, as they came", "[conntrack]") {
  auto entry = answer_v4();
  const auto request = new_conntrack_delete(message_in(entry));
  const nlmsghdr* header = nlmsg_hdr(request.get());
  CHECK(header->nlmsg_type == ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE));
  CHECK(hex_of(nlmsg_data(header), static_cast<std::size_t>(nlmsg_datalen(header))) ==
        "02000000" + std::string(original_v4) + std::string(id_v4));
}

TEST_CASE("an entry in a zone of its own is deleted there", "[conntrack]") {
  const std::string zone = "0600120000070000";
  auto bytes = bytes_of(std::string(head_v4) + std::string(original_v4) + std::string(reply_v4) + zone);
  message_in(bytes).nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  const auto request = new_conntrack_delete(message_in(bytes));
  const nlmsghdr* header = nlmsg_hdr(request.get());
  CHECK(hex_of(nlmsg_data(header), static_cast<std::size_t>(nlmsg_datalen(header))) ==
        "02000000" + std::string(original_v4) + zone);
}

TEST_CASE("the dump asks for every entry of both families", "[conntrack]") {
  const auto request = new_conntrack_dump();
  const nlmsghdr* header = nlmsg_hdr(request.get());
  CHECK(header->nlmsg_type == ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET));
  CHECK((header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP);
  CHECK(hex_of(nlmsg_data(header), static_cast<std::size_t>(nlmsg_datalen(header))) == "00000000");
}

TEST_CASE("an entry that is cut short is none, or the same", "[conntrack]") {
  for (const Bytes& whole : {answer_v4(), bytes_of(answer_v6)}) {
    for (std::size_t size = sizeof(nlmsghdr); size < whole.size(); ++size) {
      // Of its own size, so that a sanitizer sees what is read past the end.
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      message_in(cut).nlmsg_len = static_cast<std::uint32_t>(size);
      const auto flow = parse_tracked_flow(message_in(cut));
      CHECK((!flow || flow->destination.port == 514));
    }
  }
}

TEST_CASE("whatever a length or a type says, nothing outside the message is read", "[conntrack]") {
  const Bytes whole = answer_v4();
  unsigned understood = 0;
  for (std::size_t at = sizeof(nlmsghdr); at < whole.size(); ++at) {
    for (const std::byte value : {std::byte{0}, std::byte{1}, std::byte{5}, std::byte{0x7f}, std::byte{0xff}}) {
      Bytes changed(whole);
      changed[at] = value;
      if (parse_tracked_flow(message_in(changed))) ++understood;
      CHECK(new_conntrack_delete(message_in(changed)) != nullptr);
    }
  }
  CHECK(understood > 0);
}

TEST_CASE("an entry without ports is no flow", "[conntrack]") {
  // An ICMP echo: id, type and code in place of ports.
  std::string icmp(original_v4);
  icmp.replace(icmp.find("060002009c400000"), 32, "06000400123400000600050000000000");
  auto bytes = bytes_of(std::string(head_v4) + icmp + std::string(reply_v4));
  message_in(bytes).nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  CHECK_FALSE(parse_tracked_flow(message_in(bytes)));
}

}  // namespace
}  // namespace vipkeeper::net
