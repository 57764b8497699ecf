#include "engine/net/ipv4_header.h"

#include "engine/base/bytes.h"

namespace vipkeeper::net {
namespace {

constexpr std::uint8_t vrrp_protocol = 112;
constexpr std::uint8_t internetwork_control = 0xc0;
constexpr std::size_t shortest_header = 20;

}  // namespace

std::optional<Ipv4Packet> parse_ipv4(std::span<const std::byte> packet) {
  ByteReader reader(packet);
  const std::uint8_t version_and_length = reader.u8();
  const std::size_t header_length = (version_and_length & 0x0fu) * std::size_t{4};
  reader.u8();
  const std::size_t total_length = reader.u16();
  reader.u32();
  Ipv4Packet result;
  result.ttl = reader.u8();
  reader.u8();
  reader.u16();
  result.source = IpAddress::v4(reader.u32());
  result.destination = IpAddress::v4(reader.u32());
  if (!reader.ok() || version_and_length >> 4 != 4 || header_length < shortest_header || total_length < header_length ||
      total_length > packet.size()) {
    return std::nullopt;
  }
  result.payload = packet.subspan(header_length, total_length - header_length);
  return result;
}

std::vector<std::byte> build_vrrp_packet(const IpAddress& source, const IpAddress& destination,
                                         std::uint16_t identification, std::span<const std::byte> payload) {
  ByteWriter writer;
  writer.u8(0x45);
  writer.u8(internetwork_control);
  writer.u16(static_cast<std::uint16_t>(shortest_header + payload.size()));
  writer.u16(identification);
  writer.u16(0);
  writer.u8(255);
  writer.u8(vrrp_protocol);
  writer.u16(0);
  writer.bytes(source.bytes());
  writer.bytes(destination.bytes());
  writer.bytes(payload);
  return writer.take();
}

}  // namespace vipkeeper::net
