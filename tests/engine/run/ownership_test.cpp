#include "engine/run/ownership.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace vipkeeper::run {
namespace {

using tests::TemporaryDirectory;

const ipvs::ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
const ipvs::ServiceKey dns{Protocol::udp, *IpAddress::parse("2001:db8::1"), 53, 0, Family::ipv6};
const ipvs::ServiceKey mark{Protocol::tcp, {}, 0, 7, Family::ipv6};
const OwnedAddress vip{*IpPrefix::parse("192.0.2.10/24"), "eth0"};

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::unique_ptr<Ownership> open(const std::string& directory) {
  auto record = Ownership::open(directory);
  if (!record) FAIL(record.error().message);
  return std::move(*record);
}

TEST_CASE("a line of the record reads back as what was written", "[ownership][format]") {
  const OwnershipLine lines[] = {{true, web},
                                 {false, web},
                                 {true, dns},
                                 {true, mark},
                                 {false, mark},
                                 {true, vip},
                                 {false, OwnedAddress{*IpPrefix::parse("2001:db8::5/64"), "weird\"name\\"}}};
  for (const OwnershipLine& line : lines) {
    CAPTURE(serialize(line));
    const auto parsed = parse_ownership_line(serialize(line));
    REQUIRE(parsed);
    CHECK(*parsed == line);
  }
}

TEST_CASE("lines of the record have the form that is documented", "[ownership][format]") {
  CHECK(serialize({true, web}) == R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":80})");
  CHECK(serialize({false, mark}) == R"({"release":"service","fwmark":7,"family":"ipv6"})");
  CHECK(serialize({true, vip}) == R"({"claim":"address","prefix":"192.0.2.10/24","interface":"eth0"})");
  CHECK(parse_ownership_line(R"( { "port" : 80, "address" : "192.0.2.10" ,"protocol":"tcp", "claim":"service" } )"));
}

TEST_CASE("a line that is not exactly one of the record is refused with its fault", "[ownership][format]") {
  struct Row {
    const char* text;
    const char* fault;
  };
  const Row rows[] = {
      {"", "not an object"},
      {"garbage", "not an object"},
      {"{}", "not an object"},
      {R"({"claim":"service")", "not an object"},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":80} x)", "not an object"},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":80},)", "not an object"},
      {R"({"claim":{"a":"b"}})", "not an object"},
      {R"({"claim":"service","claim":"service","protocol":"tcp","address":"192.0.2.10","port":80})", "\"claim\" twice"},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.300","port":80})", "\"address\""},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":65536})", "\"port\""},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":"80"})", "\"port\""},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":-1})", "not an object"},
      {R"({"claim":"service","protocol":"icmp","address":"192.0.2.10","port":80})", "\"protocol\""},
      {R"({"claim":"service","protocol":"tcp","address":"192.0.2.10","port":80,"x":1})", "\"x\" is unknown"},
      {R"({"claim":"service","fwmark":0,"family":"ipv4"})", "\"fwmark\""},
      {R"({"claim":"service","fwmark":1,"family":"ipv5"})", "\"family\""},
      {R"({"claim":"service","fwmark":99999999999,"family":"ipv4"})", "not an object"},
      {R"({"claim":"route","prefix":"192.0.2.10/24"})", "\"claim\""},
      {R"({"take":"service"})", "\"release\""},
      {R"({"claim":"address","prefix":"192.0.2.10/33","interface":"eth0"})", "\"prefix\""},
      {R"({"claim":"address","prefix":"192.0.2.10/32","interface":""})", "\"interface\""},
      {R"({"claim":"address","prefix":"192.0.2.10/32","interface":"a\n"})", "not an object"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto parsed = parse_ownership_line(row.text);
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().message, Catch::Contains(row.fault));
  }
}

TEST_CASE("what was claimed and not released is owned after opening again", "[ownership][record]") {
  TemporaryDirectory directory;
  {
    auto record = open(directory.path + "/made/on/the/way");
    REQUIRE(record->claim(std::vector{web, dns, mark}));
    REQUIRE(record->claim(vip));
    REQUIRE(record->release(std::vector{dns}));
  }
  auto record = open(directory.path + "/made/on/the/way");
  CHECK(record->services() == std::set{web, mark});
  CHECK(record->addresses() == std::set{vip});
  CHECK(record->problems().empty());
  REQUIRE(record->release(vip));
  CHECK(open(directory.path + "/made/on/the/way")->addresses().empty());
}

TEST_CASE("cut at any byte the record holds what its whole lines say", "[ownership][torn]") {
  const std::string lines[] = {serialize({true, web}) + "\n", serialize({true, vip}) + "\n",
                               serialize({false, web}) + "\n"};
  const std::string whole = lines[0] + lines[1] + lines[2];
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    CAPTURE(cut);
    TemporaryDirectory directory;
    write(directory.path + "/owned.json", whole.substr(0, cut));
    auto record = open(directory.path);
    CHECK(record->problems().empty());
    CHECK(record->services().contains(web) == (cut >= lines[0].size() && cut < whole.size()));
    CHECK(record->addresses().contains(vip) == (cut >= lines[0].size() + lines[1].size()));
    // What is written after the torn line is not glued to it.
    REQUIRE(record->claim(std::vector{dns}));
    auto again = open(directory.path);
    CHECK(again->problems().empty());
    CHECK(again->services().contains(dns));
  }
}

TEST_CASE("foreign lines are told and ignored, the others count", "[ownership][garbage]") {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/owned.json";
  write(path, "what is this\n" + serialize({true, web}) + "\n\n" + R"({"claim":"pony"})" + "\n");
  auto record = open(directory.path);
  CHECK(record->services() == std::set{web});
  REQUIRE(record->problems().size() == 3);
  CHECK_THAT(record->problems()[0], Catch::StartsWith(path + ":1: ignored, "));
  CHECK_THAT(record->problems()[1], Catch::StartsWith(path + ":3: "));
  CHECK_THAT(record->problems()[2], Catch::StartsWith(path + ":4: "));
  CHECK(open(directory.path)->problems().empty());
}

TEST_CASE("the record does not grow with the time it is in use", "[ownership][compaction]") {
  TemporaryDirectory directory;
  auto record = open(directory.path);
  REQUIRE(record->claim(vip));
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(record->claim(std::vector{web}));
    REQUIRE(record->release(std::vector{web}));
  }
  CHECK(read(directory.path + "/owned.json").size() < 200'000);
  CHECK(open(directory.path)->addresses() == std::set{vip});
}

TEST_CASE("claiming twice writes once", "[ownership][record]") {
  TemporaryDirectory directory;
  auto record = open(directory.path);
  REQUIRE(record->claim(std::vector{web, web}));
  const std::string once = read(directory.path + "/owned.json");
  REQUIRE(record->claim(std::vector{web}));
  REQUIRE(record->release(std::vector{dns}));
  CHECK(read(directory.path + "/owned.json") == once);
  CHECK(once == serialize({true, web}) + "\n");
}

TEST_CASE("reading only leaves the file as it is", "[ownership][read-only]") {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/owned.json";
  const std::string text = "garbage\n" + serialize({true, web}) + "\n" + "torn";
  write(path, text);
  auto record = Ownership::open_read_only(directory.path);
  REQUIRE(record);
  REQUIRE((*record)->claim(std::vector{dns}));
  CHECK((*record)->services() == std::set{web, dns});
  CHECK(read(path) == text);
  CHECK(Ownership::open_read_only(directory.path + "/nothing")->get()->services().empty());
}

TEST_CASE("a place that cannot be written to is an error that names it", "[ownership][errors]") {
  TemporaryDirectory directory;
  write(directory.path + "/file", "");
  const auto record = Ownership::open(directory.path + "/file/below");
  REQUIRE_FALSE(record);
  CHECK(record.error().code == ErrorCode::io);
  CHECK_THAT(record.error().message, Catch::Contains(directory.path + "/file/below"));
}

TEST_CASE("two threads may claim at the same time", "[ownership][threads]") {
  TemporaryDirectory directory;
  auto record = open(directory.path);
  const auto work = [&](std::uint16_t offset) {
    for (std::uint16_t port = 0; port < 500; ++port) {
      const ipvs::ServiceKey key{Protocol::tcp, IpAddress::v4(0xc000020a), static_cast<std::uint16_t>(offset + port), 0,
                                 Family::ipv4};
      if (!record->claim(std::vector{key})) std::abort();
      if (port % 2 == 0 && !record->release(std::vector{key})) std::abort();
    }
  };
  std::thread other(work, std::uint16_t{10000});
  work(20000);
  other.join();
  auto again = open(directory.path);
  CHECK(again->problems().empty());
  CHECK(again->services().size() == 500);
  CHECK(again->services() == record->services());
}

}  // namespace
}  // namespace vipkeeper::run
