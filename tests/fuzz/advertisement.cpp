// Packets from the network: whatever the bytes, parse_advertisement returns, and what it takes means the same when it
// is sent on. The first two bytes choose what the receiver expects, the rest is the packet; with one of the choices the
// checksum is made right, so that the checks behind it are reached too.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/vrrp/advertisement.h"

namespace {

using namespace vipkeeper;

constexpr std::size_t checksum_offset = 6;

void mend_checksum(std::vector<std::byte>& packet, const vrrp::Reception& reception, bool pseudo_header) {
  if (packet.size() < checksum_offset + 2) return;
  packet[checksum_offset] = packet[checksum_offset + 1] = std::byte{0};
  std::uint32_t initial = 0;
  if (pseudo_header) {
    initial = checksum_sum(reception.source.bytes()) + checksum_sum(reception.destination.bytes()) +
              vrrp::ip_protocol_number + static_cast<std::uint32_t>(packet.size());
  }
  const std::uint16_t sum = internet_checksum(packet, initial);
  packet[checksum_offset] = static_cast<std::byte>(sum >> 8);
  packet[checksum_offset + 1] = static_cast<std::byte>(sum & 0xff);
}

void demand(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint8_t choices = data[0];
  vrrp::Expectation expectation;
  expectation.version = choices & 1 ? 2 : 3;
  expectation.multicast = (choices & 2) == 0;
  expectation.checksum_without_pseudo_header = (choices & 4) != 0;
  if (choices & 8) expectation.auth_password = "42";
  expectation.empty_address_list = (choices & 16) != 0;
  expectation.vrid = data[1];
  expectation.interval = std::chrono::seconds(1);
  expectation.unicast_peers = {IpAddress::v4(0x0a090901)};
  const vrrp::Reception reception{IpAddress::v4(0x0a090901),
                                  IpAddress::v4(expectation.multicast ? 0xe0000012 : 0x0a090902), 255};

  std::vector<std::byte> packet(size - 2);
  if (!packet.empty()) std::memcpy(packet.data(), data + 2, packet.size());
  if (choices & 32) mend_checksum(packet, reception, expectation.version == 3 && (choices & 4) == 0);

  const auto vrid = vrrp::peek_vrid(packet);
  const auto taken = vrrp::parse_advertisement(packet, reception, expectation);
  if (!taken) {
    demand(!vrrp::to_string(taken.error()).empty());
    return 0;
  }
  demand(vrid == expectation.vrid && taken->vrid == expectation.vrid && taken->version == expectation.version);
  demand(taken->interval > Duration::zero() && vrrp::advertises_exactly(*taken, taken->addresses));
  const auto sent = vrrp::serialize_advertisement(*taken, reception.source, reception.destination,
                                                  expectation.checksum_without_pseudo_header);
  demand(sent.size() == packet.size() && vrrp::parse_advertisement(sent, reception, expectation) == *taken);
  return 0;
}
