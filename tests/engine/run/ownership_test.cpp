#include "engine/run/record/ownership.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace vipkeeper::run {
namespace {

using tests::TemporaryDirectory;
using namespace std::chrono_literals;

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

std::unique_ptr<Ownership> open(const std::string& directory) { return Ownership::open(directory); }

// A clock that stands until it is moved.
struct Hand {
  TimePoint now = TimePoint{} + 1h;
  [[nodiscard]] Ownership::ReadClock clock() {
    return [this] { return now; };
  }
};

// As a disk that is full from `size` bytes of each file on: the write that passes it is cut, the next one refused.
// Nothing may be asserted inside: the report goes to a file as well.
void with_files_up_to(rlim_t size, const std::function<void()>& act) {
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{size, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  act();
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
}

// The process's calls of write(2).
std::uint64_t writes_so_far() {
  std::ifstream counters("/proc/self/io");
  std::string name;
  std::uint64_t count = 0;
  while (counters >> name >> count)
    if (name == "syscw:") return count;
  FAIL("/proc/self/io does not tell");
  return 0;
}

void set_mode(const std::string& path, unsigned mode) {
  std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
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
    record->claim(std::vector{web, dns, mark});
    record->claim(std::vector{vip});
    record->release(std::vector{dns});
  }
  auto record = open(directory.path + "/made/on/the/way");
  CHECK(record->services() == std::set{web, mark});
  CHECK(record->addresses() == std::set{vip});
  CHECK(record->problems().empty());
  record->release(std::vector{vip});
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
    record->claim(std::vector{dns});
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
  REQUIRE(record->problems().size() == 1);
  CHECK_THAT(record->problems()[0], Catch::StartsWith(path + ": 3 lines "));
  CHECK_THAT(record->problems()[0], Catch::Contains("line 1: ") && Catch::Contains("; line 3: ") &&
                                        Catch::Contains("; line 4: ") && !Catch::Contains("..."));
  CHECK(open(directory.path)->problems().empty());
}

TEST_CASE("a file that is something else is one problem of a bounded size", "[ownership][garbage]") {
  TemporaryDirectory directory;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "not ours\n";
  write(directory.path + "/owned.json", text);
  const auto problems = open(directory.path)->problems();
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].size() < 500);
  CHECK_THAT(problems[0], Catch::Contains("20000 lines"));
}

TEST_CASE("the record does not grow with the time it is in use", "[ownership][compaction]") {
  TemporaryDirectory directory;
  auto record = open(directory.path);
  record->claim(std::vector{vip});
  for (int i = 0; i < 5000; ++i) {
    record->claim(std::vector{web});
    record->release(std::vector{web});
  }
  CHECK(read(directory.path + "/owned.json").size() < 200'000);
  CHECK(open(directory.path)->addresses() == std::set{vip});
}

TEST_CASE("claiming twice writes once", "[ownership][record]") {
  TemporaryDirectory directory;
  auto record = open(directory.path);
  record->claim(std::vector{web, web});
  const std::string once = read(directory.path + "/owned.json");
  record->claim(std::vector{web});
  record->release(std::vector{dns});
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
  record->claim(std::vector{dns});
  CHECK(record->services() == std::set{web, dns});
  CHECK(read(path) == text);
  CHECK(Ownership::open_read_only(directory.path + "/nothing")->services().empty());
}

TEST_CASE("a run directory that cannot be made costs a problem that names it, and nothing else",
          "[ownership][errors]") {
  TemporaryDirectory directory;
  write(directory.path + "/file", "");
  Hand hand;
  const auto record = Ownership::open(directory.path + "/file/below", hand.clock());
  REQUIRE(record);
  record->claim(std::vector{web});
  record->claim(std::vector{vip});
  CHECK(record->services() == std::set{web});
  CHECK(record->addresses() == std::set{vip});
  REQUIRE(record->problems().size() == 1);
  CHECK_THAT(record->problems()[0], Catch::Contains(directory.path + "/file/below") && Catch::Contains("--run-dir"));

  // It is made as soon as it can be.
  std::filesystem::remove(directory.path + "/file");
  hand.now += 1s;
  record->retry();
  CHECK(record->problems().empty());
  CHECK_FALSE(record->retry_at());
  CHECK(open(directory.path + "/file/below")->services() == std::set{web});
}

TEST_CASE("a start with a run directory that nothing can be written to knows what the old record says",
          "[ownership][errors]") {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/owned.json";
  const std::string old = serialize({true, web}) + "\n" + serialize({true, vip}) + "\n";
  write(path, old);
  set_mode(directory.path, 0555);
  Hand hand;
  const auto record = Ownership::open(directory.path, hand.clock());
  CHECK(record->services() == std::set{web});
  CHECK(record->addresses() == std::set{vip});
  REQUIRE(record->problems().size() == 1);
  CHECK_THAT(record->problems()[0], Catch::Contains("owned.json") && Catch::Contains("Permission denied"));
  record->release(std::vector{vip});
  record->claim(std::vector{dns});
  CHECK(record->problems().size() == 1);
  CHECK(read(path) == old);

  set_mode(directory.path, 0755);
  hand.now += 1s;
  record->retry();
  CHECK(record->problems().empty());
  const auto next = open(directory.path);
  CHECK(next->services() == std::set{web, dns});
  CHECK(next->addresses().empty());
}

TEST_CASE("a disk that fills up in the middle of a line costs that line's claim nothing", "[ownership][full]") {
  const std::size_t both = (serialize({true, web}) + serialize({true, dns})).size() + 2;
  for (rlim_t room = 0; room <= both + 1; ++room) {
    CAPTURE(room);
    TemporaryDirectory directory;
    Hand hand;
    const auto record = Ownership::open(directory.path, hand.clock());
    record->claim(std::vector{vip});
    const std::string before = read(directory.path + "/owned.json");
    with_files_up_to(before.size() + room, [&] { record->claim(std::vector{web, dns}); });
    CHECK(record->services() == std::set{web, dns});
    // What a crash now would leave: whole lines, and at most one torn one at the end.
    const auto left = Ownership::open_read_only(directory.path);
    CHECK(left->problems().empty());
    CHECK(left->addresses() == std::set{vip});

    const bool fits = record->problems().empty();
    hand.now += 1s;
    record->claim(std::vector{mark});
    CHECK(record->problems().empty());
    CHECK(open(directory.path)->services() == std::set{web, dns, mark});
    CHECK(fits == (room >= both));
  }
}

TEST_CASE("a start on a full disk goes on, and leaves the old record as it is", "[ownership][full]") {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/owned.json";
  const std::string old = serialize({true, web}) + "\n" + serialize({true, vip}) + "\n";
  write(path, old);
  Hand hand;
  std::unique_ptr<Ownership> record;
  with_files_up_to(10, [&] { record = Ownership::open(directory.path, hand.clock()); });
  CHECK(record->addresses() == std::set{vip});
  REQUIRE(record->problems().size() == 1);
  CHECK_THAT(record->problems()[0], Catch::Contains("make room"));
  CHECK(read(path) == old);
  // What was begun beside takes no room.
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("while writing fails it is tried after 1 s, then twice as long, up to 60 s, whatever is claimed",
          "[ownership][retry]") {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/owned.json";
  Hand hand;
  const auto record = Ownership::open(directory.path, hand.clock());
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);  // nothing can be renamed to it
  const std::string ahead = path + ".new";
  std::filesystem::create_directory(ahead);
  record->claim(std::vector{web});
  const std::vector<std::string> problems = record->problems();
  REQUIRE(problems.size() == 1);
  std::vector<Duration> pauses;
  for (int i = 0; i < 9; ++i) {
    REQUIRE(record->retry_at());
    pauses.push_back(*record->retry_at() - hand.now);
    // Too early: nothing is tried, or the next time would be another.
    const auto due = *record->retry_at();
    hand.now = due - 1ms;
    record->retry();
    for (std::uint16_t port = 1; port <= 50; ++port) {
      const std::vector<ipvs::ServiceKey> key{{Protocol::tcp, IpAddress::v4(0xc000020a), port, 0, Family::ipv4}};
      record->claim(key);
      record->release(key);
    }
    CHECK(record->retry_at() == due);
    hand.now = due;
    record->retry();
    CHECK(record->problems() == problems);
  }
  CHECK(pauses == std::vector<Duration>{1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s});

  std::filesystem::remove(path);
  std::filesystem::remove(ahead);
  record->claim(std::vector{dns});
  CHECK_FALSE(std::filesystem::exists(path));
  hand.now += 60s;
  record->claim(std::vector{mark});
  CHECK(record->problems().empty());
  CHECK(read(path).size() ==
        (serialize({true, web}) + serialize({true, dns}) + serialize({true, mark})).size() + std::size_t{3});
  // The next trouble begins with a second again.
  std::filesystem::remove(path);
  set_mode(directory.path, 0555);
  record->claim(std::vector{vip});
  set_mode(directory.path, 0755);
  REQUIRE(record->retry_at());
  CHECK(*record->retry_at() - hand.now == 1s);
}

TEST_CASE("a record that is there and cannot be read is a problem, is kept, and counts once it can be",
          "[ownership][unreadable]") {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/owned.json";
  const std::string old = serialize({true, web}) + "\n";
  Hand hand;
  bool is_ours = false;
  SECTION("no right to") {
    write(path, old);
    set_mode(path, 0000);
    is_ours = true;
  }
  SECTION("a file that can be no record") {
    write(path, "");
    std::filesystem::resize_file(path, 1UL << 30U);
  }
  SECTION("a directory") { std::filesystem::create_directory(path); }
  SECTION("a pipe") { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
  const auto record = Ownership::open(directory.path, hand.clock());
  CHECK(record->services().empty());
  REQUIRE(record->problems().size() == 1);
  CHECK_THAT(record->problems()[0], Catch::StartsWith("cannot read " + path));
  record->claim(std::vector{dns});
  CHECK(record->services() == std::set{dns});
  hand.now += 1s;
  record->retry();
  CHECK(record->problems().size() == 1);

  if (is_ours) {
    set_mode(path, 0600);
    CHECK(read(path) == old);
  } else {
    std::filesystem::remove(path);
  }
  hand.now += 2s;
  record->retry();
  CHECK(record->problems().empty());
  const auto expected = is_ours ? std::set{web, dns} : std::set{dns};
  CHECK(record->services() == expected);
  CHECK(open(directory.path)->services() == expected);
}

TEST_CASE("a record that somebody removes is written anew with the next claim", "[ownership][record]") {
  TemporaryDirectory directory;
  const auto record = open(directory.path);
  record->claim(std::vector{web});
  std::filesystem::remove(directory.path + "/owned.json");
  record->claim(std::vector{dns});
  CHECK(record->problems().empty());
  CHECK(open(directory.path)->services() == std::set{web, dns});
}

TEST_CASE("many addresses are one write", "[ownership][record]") {
  TemporaryDirectory directory;
  const auto record = open(directory.path);
  std::vector<OwnedAddress> addresses;
  std::string text;
  for (std::uint32_t i = 0; i < 100; ++i) {
    addresses.push_back({{IpAddress::v4(0xc0000200 + i), 32}, "eth0"});
    text += serialize({true, addresses.back()}) + "\n";
  }
  const auto before = writes_so_far();
  record->claim(addresses);
  record->claim(addresses);
  const auto after = writes_so_far();
  CHECK(after > before);
  CHECK(after - before < 5);  // a sanitizer writes into a pipe of its own now and then
  CHECK(read(directory.path + "/owned.json") == text);
}

TEST_CASE("two threads may claim at the same time", "[ownership][threads]") {
  TemporaryDirectory directory;
  auto record = open(directory.path);
  const auto work = [&](std::uint16_t offset) {
    for (std::uint16_t port = 0; port < 500; ++port) {
      const ipvs::ServiceKey key{Protocol::tcp, IpAddress::v4(0xc000020a), static_cast<std::uint16_t>(offset + port), 0,
                                 Family::ipv4};
      record->claim(std::vector{key});
      if (port % 2 == 0) record->release(std::vector{key});
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
