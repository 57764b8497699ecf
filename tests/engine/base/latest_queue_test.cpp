#include "engine/base/latest_queue.h"

#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "engine/base/published.h"

namespace vipkeeper {

TEST_CASE("the newest value wins, and an empty queue gives nothing", "[base]") {
  LatestQueue<int> queue([] {});
  CHECK_FALSE(queue.take());
  CHECK(queue.put(1));
  CHECK(queue.put(2));
  CHECK(queue.take() == 2);
  CHECK_FALSE(queue.take());
}

TEST_CASE("values that were not taken are merged in their order", "[base]") {
  LatestQueue<std::string> queue([] {}, [](std::string older, std::string newer) { return older + newer; });
  queue.put("a");
  queue.put("b");
  queue.put("c");
  CHECK(queue.take() == "abc");
  queue.put("d");
  CHECK(queue.take() == "d");
}

TEST_CASE("the reader is woken once for each time the queue fills, and when it is closed", "[base]") {
  int woken = 0;
  LatestQueue<int> queue([&] { ++woken; });
  queue.put(1);
  queue.put(2);
  CHECK(woken == 1);
  queue.take();
  queue.put(3);
  CHECK(woken == 2);
  queue.close();
  CHECK(woken == 3);
}

TEST_CASE("a closed queue refuses what comes; what lay in it can still be taken", "[base]") {
  LatestQueue<int> queue([] {});
  queue.put(1);
  CHECK_FALSE(queue.closed());
  queue.close();
  CHECK(queue.closed());
  CHECK_FALSE(queue.put(2));
  CHECK(queue.take() == 1);
  CHECK_FALSE(queue.take());
}

TEST_CASE("the wake-up may use the queue itself", "[base]") {
  LatestQueue<int>* self = nullptr;
  std::optional<int> seen;
  LatestQueue<int> queue([&] { seen = self->take(); });
  self = &queue;
  queue.put(5);
  CHECK(seen == 5);
}

TEST_CASE("nothing is lost between two threads", "[base]") {
  LatestQueue<long> queue([] {}, [](long older, long newer) { return older + newer; });
  constexpr long count = 20000;
  std::thread writer([&] {
    for (long i = 1; i <= count; ++i) queue.put(i);
    queue.close();
  });
  long sum = 0;
  while (true) {
    const bool last = queue.closed();
    sum += queue.take().value_or(0);
    if (last) break;
  }
  writer.join();
  CHECK(sum == count * (count + 1) / 2);
}

TEST_CASE("a published value stays whole for who holds it", "[base]") {
  Published<std::string> published;
  CHECK(published.get() == nullptr);
  published.publish(std::make_shared<const std::string>("one"));
  const auto held = published.get();
  published.publish(std::make_shared<const std::string>("two"));
  CHECK(*held == "one");
  CHECK(*published.get() == "two");
}

}  // namespace vipkeeper
