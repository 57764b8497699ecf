#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include <catch2/catch.hpp>
#include <initializer_list>
#include <thread>
#include <vector>

#include "engine/net/arp_announcer.h"
#include "engine/net/ipv4_header.h"
#include "engine/net/netlink/kernel_host.h"
#include "engine/net/vrrp_socket.h"

using namespace vipkeeper;
using namespace vipkeeper::net;

namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

const std::vector<std::byte> advertisement =
    bytes({0x31, 0x33, 0x96, 0x01, 0x00, 0x64, 0x31, 0x61, 0x0a, 0x09, 0x09, 0x64});

// Runs `work` on a thread without any capability, as in a container that was given none.
template <class Work>
void without_rights(const Work& work) {
  std::thread thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    ::syscall(SYS_capset, &header, none);
    work();
  });
  thread.join();
}

}  // namespace

TEST_CASE("a VRRP packet leaves with TTL 255, precedence internetwork control and protocol 112",
          "[net][rfc9568-5.1.1]") {
  const auto packet =
      build_vrrp_packet(*IpAddress::parse("10.9.9.1"), *IpAddress::parse("224.0.0.18"), 0x0102, advertisement);
  auto expected = bytes({0x45, 0xc0, 0x00, 0x20, 0x01, 0x02, 0x00, 0x00, 0xff, 0x70, 0x00, 0x00,  //
                         0x0a, 0x09, 0x09, 0x01, 0xe0, 0x00, 0x00, 0x12});
  expected.insert(expected.end(), advertisement.begin(), advertisement.end());
  CHECK(packet == expected);
}

TEST_CASE("what a raw socket hands up is cut to the header's total length", "[net][rfc791-3.1]") {
  auto packet = build_vrrp_packet(*IpAddress::parse("10.9.9.1"), *IpAddress::parse("224.0.0.18"), 1, advertisement);
  packet.resize(packet.size() + 14);  // Ethernet's padding
  const auto parsed = parse_ipv4(packet);
  REQUIRE(parsed);
  CHECK(parsed->source == *IpAddress::parse("10.9.9.1"));
  CHECK(parsed->destination == *IpAddress::parse("224.0.0.18"));
  CHECK(parsed->ttl == 255);
  CHECK(std::vector(parsed->payload.begin(), parsed->payload.end()) == advertisement);
}

TEST_CASE("IPv4 options are skipped", "[net][rfc791-3.1]") {
  auto packet =
      bytes({0x46, 0xc0, 0x00, 0x1a, 0, 1, 0, 0, 64, 112, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x94, 4, 0, 0, 7, 8});
  const auto parsed = parse_ipv4(packet);
  REQUIRE(parsed);
  CHECK(std::vector(parsed->payload.begin(), parsed->payload.end()) == bytes({7, 8}));
}

TEST_CASE("what is no whole IPv4 packet is refused", "[net][rfc791-3.1]") {
  const auto good = build_vrrp_packet(*IpAddress::parse("10.9.9.1"), *IpAddress::parse("10.9.9.2"), 1, advertisement);
  REQUIRE(parse_ipv4(good));
  struct Row {
    const char* what;
    std::size_t offset;
    int value;
  };
  const Row rows[] = {{"version 6", 0, 0x65},
                      {"header of 16 bytes", 0, 0x44},
                      {"header longer than the packet says", 0, 0x4f},
                      {"total length beyond the packet", 3, 0x21},
                      {"total length shorter than the header", 3, 19}};
  for (const auto& row : rows) {
    INFO(row.what);
    auto packet = good;
    packet[row.offset] = static_cast<std::byte>(row.value);
    CHECK_FALSE(parse_ipv4(packet));
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    INFO("cut to " << size);
    CHECK_FALSE(parse_ipv4(std::span(good).first(size)));
  }
}

TEST_CASE("a gratuitous ARP is a request whose sender and target are the address", "[net][rfc9568-6.4.1]") {
  const auto mac = bytes({2, 0, 0, 0, 0, 7});
  CHECK(build_gratuitous_arp(mac, 1, *IpAddress::parse("10.9.9.100")) ==
        bytes({0,  1, 8, 0,   6,    4,    0,    1,    2,    0,    0,  0, 0, 7,
               10, 9, 9, 100, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 9, 9, 100}));
}

TEST_CASE("the loopback interface is read without any right", "[net][rtnetlink]") {
  without_rights([] {
    const auto network = read_network();
    REQUIRE(network);
    REQUIRE(network->find_link("lo") != nullptr);
    CHECK(network->find_link("lo")->loopback);
    CHECK(network->find_link("no-such-link") == nullptr);
    CHECK(KernelHost::open());
  });
}

TEST_CASE("a missing right is one error that names the capability and the remedy", "[net][permission]") {
  std::vector<Error> errors;
  without_rights([&] {
    if (auto result = VrrpSocket::check_permission(); !result) errors.push_back(result.error());
    if (auto result = ArpAnnouncer::open(); !result) errors.push_back(result.error());
    if (auto result = (*KernelHost::open())->allow_changes(); !result) errors.push_back(result.error());
  });
  REQUIRE(errors.size() == 3);
  for (const auto& error : errors) {
    INFO(error.message);
    CHECK(error.code == ErrorCode::permission);
    CHECK(error.message.find("add NET_ADMIN, NET_RAW to the container's capabilities") != std::string::npos);
  }
  CHECK(errors[0].message.find("CAP_NET_RAW") != std::string::npos);
  CHECK(errors[1].message.find("CAP_NET_RAW") != std::string::npos);
  CHECK(errors[2].message.find("CAP_NET_ADMIN") != std::string::npos);
}
