#include "engine/net/netlink/ipvs_codec.h"

#include <linux/ip_vs.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "tests/engine/ipvs/random_table.h"

namespace vipkeeper::net {
namespace {

using namespace ipvs;

const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
const DestinationKey pod{IpAddress::v4(0x0a000007), 8080};
constexpr int family_id = 30;

const genlmsghdr& command_header(const MessagePtr& message) {
  return *static_cast<const genlmsghdr*>(nlmsg_data(nlmsg_hdr(message.get())));
}

// The first level attribute's content, byte for byte.
std::vector<unsigned> attribute_bytes(const MessagePtr& message, int outer, int inner) {
  std::array<nlattr*, IPVS_CMD_ATTR_MAX + 1> top{};
  REQUIRE(genlmsg_parse(nlmsg_hdr(message.get()), 0, top.data(), IPVS_CMD_ATTR_MAX, nullptr) >= 0);
  nlattr* nest = top.at(static_cast<std::size_t>(outer));
  REQUIRE(nest != nullptr);
  nlattr* found = nla_find(static_cast<nlattr*>(nla_data(nest)), nla_len(nest), inner);
  if (found == nullptr) return {};
  const auto* bytes = static_cast<const unsigned char*>(nla_data(found));
  return {bytes, bytes + nla_len(found)};
}

TEST_CASE("a service's settings read back as they were written", "[ipvs][netlink][round-trip]") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    test::RandomTables random(seed);
    const ServiceKey key = random.key();
    const Service service = random.service(key);
    const MessagePtr message = build_operation(AddService{key, service}, family_id, 5, 0);
    const auto reply = parse_service(nlmsg_hdr(message.get()));
    REQUIRE(reply);
    REQUIRE(reply->key == key);
    REQUIRE(reply->service == service);
  }
}

TEST_CASE("a destination reads back as it was written", "[ipvs][netlink][round-trip]") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    test::RandomTables random(seed);
    const ServiceKey key = random.key();
    const Destination destination = random.destination();
    for (const DestinationKey& which : {pod, DestinationKey{*IpAddress::parse("2001:db8::7"), 443}}) {
      const MessagePtr message = build_operation(AddDestination{key, which, destination}, family_id, 5, 0);
      const auto reply = parse_destination(nlmsg_hdr(message.get()), key);
      REQUIRE(reply);
      REQUIRE(reply->key == which);
      REQUIRE(reply->destination == destination);
    }
  }
}

TEST_CASE("each operation is its command of linux/ip_vs.h", "[ipvs][netlink]") {
  struct Row {
    Operation operation;
    std::uint8_t command;
  };
  const Row rows[] = {
      {AddService{web, {}}, IPVS_CMD_NEW_SERVICE},       {SetService{web, {}}, IPVS_CMD_SET_SERVICE},
      {DeleteService{web}, IPVS_CMD_DEL_SERVICE},        {AddDestination{web, pod, {}}, IPVS_CMD_NEW_DEST},
      {SetDestination{web, pod, {}}, IPVS_CMD_SET_DEST}, {DeleteDestination{web, pod}, IPVS_CMD_DEL_DEST}};
  for (const Row& row : rows) {
    const MessagePtr message = build_operation(row.operation, family_id, 77, NLM_F_ACK);
    CHECK(command_header(message).cmd == row.command);
    CHECK(command_header(message).version == IPVS_GENL_VERSION);
    CHECK(nlmsg_hdr(message.get())->nlmsg_type == family_id);
    CHECK(nlmsg_hdr(message.get())->nlmsg_seq == 77);
    CHECK(nlmsg_hdr(message.get())->nlmsg_flags == (NLM_F_REQUEST | NLM_F_ACK));
  }
}

TEST_CASE("ports and the IPv4 netmask are in network order, the rest in the host's", "[ipvs][netlink][byte-order]") {
  const MessagePtr message = build_operation(AddService{web, {"sh", 0, 300, 20}}, family_id, 1, 0);
  CHECK(attribute_bytes(message, IPVS_CMD_ATTR_SERVICE, IPVS_SVC_ATTR_PORT) == std::vector<unsigned>{0, 80});
  CHECK(attribute_bytes(message, IPVS_CMD_ATTR_SERVICE, IPVS_SVC_ATTR_NETMASK) ==
        std::vector<unsigned>{255, 255, 240, 0});
  CHECK(attribute_bytes(message, IPVS_CMD_ATTR_SERVICE, IPVS_SVC_ATTR_ADDR) ==
        std::vector<unsigned>{192, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(attribute_bytes(build_operation(AddDestination{web, pod, {}}, family_id, 1, 0), IPVS_CMD_ATTR_DEST,
                        IPVS_DEST_ATTR_PORT) == std::vector<unsigned>{0x1f, 0x90});
}

TEST_CASE("persistence is told by its flag, and the kernel's own flag is never sent", "[ipvs][netlink][flags]") {
  const auto flags = [](const Service& service) {
    const auto bytes = attribute_bytes(build_operation(AddService{web, service}, family_id, 1, 0),
                                       IPVS_CMD_ATTR_SERVICE, IPVS_SVC_ATTR_FLAGS);
    REQUIRE(bytes.size() == sizeof(ip_vs_flags));
    CHECK(std::vector(bytes.begin() + 4, bytes.end()) == std::vector<unsigned>{255, 255, 255, 255});
    return bytes[0];
  };
  CHECK(flags({"wlc", 0, 0, 32}) == 0);
  CHECK(flags({"wlc", 0, 60, 32}) == IP_VS_SVC_F_PERSISTENT);
  CHECK(flags({"mh", flag_scheduler2, 60, 32}) == (IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_SCHED2));
}

TEST_CASE("deleting and asking send the name only", "[ipvs][netlink]") {
  const MessagePtr gone = build_operation(DeleteDestination{web, pod}, family_id, 1, 0);
  CHECK(attribute_bytes(gone, IPVS_CMD_ATTR_SERVICE, IPVS_SVC_ATTR_SCHED_NAME).empty());
  CHECK(attribute_bytes(gone, IPVS_CMD_ATTR_DEST, IPVS_DEST_ATTR_WEIGHT).empty());
  const MessagePtr asked = build_get_service(web, family_id, 1);
  CHECK(attribute_bytes(asked, IPVS_CMD_ATTR_SERVICE, IPVS_SVC_ATTR_FLAGS).empty());
  CHECK((nlmsg_hdr(build_get_services(family_id, 1).get())->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP);
  CHECK((nlmsg_hdr(build_get_destinations(web, family_id, 1).get())->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP);
}

TEST_CASE("a reply that lacks what it must have is an error", "[ipvs][netlink][malformed]") {
  CHECK_FALSE(parse_service(nlmsg_hdr(build_get_services(family_id, 1).get())));
  CHECK_FALSE(parse_service(nlmsg_hdr(build_get_service(web, family_id, 1).get())));
  CHECK_FALSE(parse_destination(nlmsg_hdr(build_get_service(web, family_id, 1).get()), web));
  CHECK_FALSE(parse_destination(nlmsg_hdr(build_operation(DeleteDestination{web, pod}, family_id, 1, 0).get()), web));
}

TEST_CASE("a reply cut at any byte is an error or whole, never read past its end", "[ipvs][netlink][malformed]") {
  const MessagePtr service = build_operation(AddService{web, {"wlc", 0, 60, 24}}, family_id, 1, 0);
  const MessagePtr destination = build_operation(AddDestination{web, pod, {}}, family_id, 1, 0);
  for (const MessagePtr* message : {&service, &destination}) {
    const nlmsghdr* whole = nlmsg_hdr(message->get());
    for (std::uint32_t length = sizeof(nlmsghdr); length < whole->nlmsg_len; ++length) {
      // A buffer of exactly this size, so that a sanitizer sees a read beyond.
      std::vector<std::uint32_t> copy((length + 3) / 4);
      std::memcpy(copy.data(), whole, length);
      std::memcpy(copy.data(), &length, sizeof length);
      void* start = copy.data();
      CHECK_FALSE(parse_service(static_cast<nlmsghdr*>(start)));
      CHECK_FALSE(parse_destination(static_cast<nlmsghdr*>(start), web));
    }
  }
}

TEST_CASE("an attribute of a wrong size is an error", "[ipvs][netlink][malformed]") {
  const MessagePtr message = build_operation(AddService{web, {}}, family_id, 1, 0);
  nlmsghdr* header = nlmsg_hdr(message.get());
  std::array<nlattr*, IPVS_CMD_ATTR_MAX + 1> top{};
  REQUIRE(genlmsg_parse(header, 0, top.data(), IPVS_CMD_ATTR_MAX, nullptr) >= 0);
  nlattr* nest = top[IPVS_CMD_ATTR_SERVICE];
  nlattr* port = nla_find(static_cast<nlattr*>(nla_data(nest)), nla_len(nest), IPVS_SVC_ATTR_PORT);
  REQUIRE(port != nullptr);
  port->nla_len = sizeof(nlattr) + 1;
  CHECK_FALSE(parse_service(header));
}

}  // namespace
}  // namespace vipkeeper::net
