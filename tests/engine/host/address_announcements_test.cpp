#include "engine/host/address_announcements.h"

#include <catch2/catch.hpp>
#include <set>

using namespace vipkeeper;
using namespace vipkeeper::host;
using namespace std::chrono_literals;

namespace {

IpAddress numbered(unsigned i) { return IpAddress::v4(0x0a000000U + i); }

std::size_t total(const std::map<int, std::vector<IpAddress>>& some) {
  std::size_t result = 0;
  for (const auto& [link, addresses] : some) result += addresses.size();
  return result;
}

const TimePoint start{1000s};

}  // namespace

TEST_CASE("every address is announced once before any is repeated", "[host][announce]") {
  AddressAnnouncements one;
  for (unsigned i = 0; i < 10; ++i) one.want(2, numbered(i), 5);
  const auto first = one.next(start, 10);
  CHECK(first.at(2).size() == 10);
  CHECK(std::set<IpAddress>(first.at(2).begin(), first.at(2).end()).size() == 10);
  CHECK(total(one.next(start, 1000)) == 40);
  CHECK_FALSE(one.next_time());
}

TEST_CASE("a block of announcements is not begun anew by asking again", "[host][announce][bounds]") {
  AddressAnnouncements one;
  for (unsigned i = 0; i < 1000; ++i) one.want(2, numbered(i), 5);
  std::size_t sent = 0;
  std::set<IpAddress> announced;
  TimePoint now = start;
  for (int i = 0; i < 1000 && one.next_time(); ++i) {
    // Somebody who makes us ask for all of them each turn.
    if (i < 50) {
      for (unsigned n = 0; n < 1000; ++n) one.want(2, numbered(n), 1);
    }
    const auto next = one.next(now, 100);
    sent += total(next);
    if (next.contains(2)) announced.insert(next.at(2).begin(), next.at(2).end());
    now = std::max(now, one.next_time().value_or(now));
  }
  CHECK(announced.size() == 1000);
  CHECK(sent <= 5050);
}

TEST_CASE("repetitions are paced, first announcements are not", "[host][announce][bounds]") {
  AddressAnnouncements one;
  for (unsigned i = 0; i < 10'000; ++i) one.want(2, numbered(i), 2);
  CHECK(total(one.next(start, 100'000)) == 10'000);
  CHECK(total(one.next(start, 100'000)) == 0);
  REQUIRE(one.next_time());
  CHECK(*one.next_time() > start);
  std::size_t sent = 0;
  TimePoint now = start;
  while (one.next_time()) {
    now = std::max(now, *one.next_time());
    sent += total(one.next(now, 100'000));
  }
  CHECK(sent == 10'000);
  CHECK(now - start > 3s);
  CHECK(now - start < 10s);
}

TEST_CASE("to announce anew what is known is paced from the first on", "[host][announce][bounds]") {
  AddressAnnouncements one;
  for (unsigned i = 0; i < 10'000; ++i) one.want(2, numbered(i), 1, false);
  CHECK(total(one.next(start, 100'000)) <= 1000);
}

TEST_CASE("a link that takes no more does not hold up another", "[host][announce][faults]") {
  AddressAnnouncements one;
  one.want(2, numbered(1), 1);
  one.want(3, numbered(2), 1);
  const auto both = one.next(start, 10);
  one.unsent(start, 2, both.at(2));
  one.want(3, numbered(3), 2);
  CHECK(total(one.next(start, 10)) == 2);
  REQUIRE(one.next_time());
  CHECK(*one.next_time() > start);
  const auto later = one.next(*one.next_time(), 10);
  CHECK(later.at(2) == std::vector{numbered(1)});
}

TEST_CASE("what waits on one link costs the others nothing", "[host][announce][bounds]") {
  AddressAnnouncements one;
  for (unsigned i = 0; i < 10'000; ++i) one.want(2, numbered(i), 1, false);
  one.want(3, numbered(1), 3, false);
  CHECK(total(one.next(start, 100'000)) == 1003);
  one.want(3, numbered(2), 1);
  CHECK(one.next_time() <= start);
  CHECK(one.next(start, 100'000).at(3) == std::vector{numbered(2)});
}

TEST_CASE("an address that left is not announced", "[host][announce]") {
  AddressAnnouncements one;
  one.want(2, numbered(1), 5);
  one.drop(2, numbered(1));
  CHECK(total(one.next(start, 10)) == 0);
  one.want(2, numbered(1), 1);
  CHECK(total(one.next(start, 10)) == 1);
}
