#include "engine/base/bytes.h"

#include <array>
#include <catch2/catch.hpp>

namespace vipkeeper {
namespace {

std::vector<std::byte> bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> result;
  for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

}  // namespace

TEST_CASE("the checksum of RFC 1071's example, and of odd and empty data", "[base][rfc1071-3]") {
  // Section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
  CHECK(internet_checksum(bytes({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})) == (~0xddf2U & 0xffffU));
  CHECK(internet_checksum({}) == 0xffff);
  CHECK(internet_checksum(bytes({0xab})) == (~0xab00U & 0xffffU));
  CHECK(internet_checksum(bytes({0xff, 0xff})) == 0);
}

TEST_CASE("data that holds its own checksum sums to 0, also with a pseudo header and carries upon carries", "[base]") {
  for (const std::uint32_t pseudo : {0U, 0xffffU, 0x0001ffffU, 0x00fffffeU}) {
    auto data = bytes({0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xfe, 0x80});
    const auto checksum = internet_checksum(data, pseudo);
    data[4] = static_cast<std::byte>(checksum >> 8);
    data[5] = static_cast<std::byte>(checksum & 0xff);
    CHECK(internet_checksum(data, pseudo) == 0);
    data[0] ^= std::byte{1};
    CHECK(internet_checksum(data, pseudo) != 0);
  }
}

TEST_CASE("what a writer wrote a reader reads, big-endian", "[base]") {
  ByteWriter writer;
  writer.u8(0x31);
  writer.u16(0x0102);
  writer.u32(0xdeadbeef);
  writer.bytes(bytes({7, 8}));
  writer.u16_at(1, 0xcafe);
  const auto data = writer.take();
  CHECK(data == bytes({0x31, 0xca, 0xfe, 0xde, 0xad, 0xbe, 0xef, 7, 8}));
  ByteReader reader(data);
  CHECK(reader.u8() == 0x31);
  CHECK(reader.u16() == 0xcafe);
  CHECK(reader.u32() == 0xdeadbeef);
  CHECK(reader.remaining() == 2);
  CHECK(reader.bytes(2).size() == 2);
  CHECK(reader.ok());
}

TEST_CASE("a reader that went past the end gives zeros and says so, for good", "[base]") {
  const auto data = bytes({1, 2, 3});
  ByteReader reader(data);
  CHECK(reader.u16() == 0x0102);
  CHECK(reader.u32() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.u8() == 0);
  CHECK(reader.bytes(1).empty());
  CHECK(reader.remaining() == 0);
  CHECK_FALSE(reader.ok());
}

}  // namespace vipkeeper
