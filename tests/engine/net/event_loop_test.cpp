#include "engine/net/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/unique_fd.h"

using namespace std::chrono_literals;
using vipkeeper::Clock;
using vipkeeper::UniqueFd;
using vipkeeper::net::EventLoop;
using vipkeeper::net::Timer;

namespace {

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  void put(char c) const { REQUIRE(::write(write.get(), &c, 1) == 1); }
  char get() const {
    char c = 0;
    return ::read(read.get(), &c, 1) == 1 ? c : '\0';
  }
};

std::unique_ptr<EventLoop> make_loop() {
  auto loop = EventLoop::create();
  REQUIRE(loop);
  return std::move(*loop);
}

// For the handler of SIGUSR1 below.
std::atomic<Clock::rep> hold_until{0};
std::atomic<int> write_to{-1};
std::atomic<bool> handled{false};

// What being stopped and continued looks like: epoll_wait fails with EINTR, a deadline has passed, a packet has come.
void hold_and_write(int) {
  while (Clock::now().time_since_epoch().count() < hold_until) {
  }
  const char packet = 'p';
  handled = ::write(write_to, &packet, 1) == 1;
}

bool is_asleep(pid_t thread) {
  std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(stat)), {});
  return text.find(") S ") != std::string::npos;
}

}  // namespace

TEST_CASE("a process that was stopped past a deadline reads what came meanwhile before it judges the deadline",
          "[net][event-loop]") {
  struct sigaction action{};
  action.sa_handler = hold_and_write;
  struct sigaction before{};
  REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  // Again if the deadline came before the signal, on a very busy machine.
  for (bool conclusive = false; !conclusive;) {
    handled = false;
    const auto loop = make_loop();
    const Pipe pipe;
    std::string order;
    Timer timer(*loop, [&] {
      conclusive = handled;
      order += 't';
    });
    REQUIRE(loop->watch(pipe.read.get(), [&] { order += pipe.get(); }));
    const auto deadline = Clock::now() + 100ms;
    timer.arm(deadline);
    hold_until = (deadline + 5ms).time_since_epoch().count();
    write_to = pipe.write.get();
    const pid_t here = ::gettid();
    const pthread_t self = ::pthread_self();
    std::thread stopper([&] {
      while (!is_asleep(here)) std::this_thread::yield();
      ::pthread_kill(self, SIGUSR1);
    });
    while (order.find('t') == std::string::npos) loop->turn();
    stopper.join();
    if (conclusive) CHECK(order == "pt");
  }
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a descriptor that waits is read before a timer that is due in the same turn", "[net][event-loop]") {
  const auto loop = make_loop();
  const Pipe pipe;
  std::string order;
  Timer timer(*loop, [&] { order += 't'; });
  REQUIRE(loop->watch(pipe.read.get(), [&] { order += pipe.get(); }));
  timer.arm(loop->now() - 1s);
  pipe.put('p');
  loop->turn();
  CHECK(order == "pt");
}

TEST_CASE("a packet may move a deadline that has passed, and then it does not expire", "[net][event-loop]") {
  const auto loop = make_loop();
  const Pipe pipe;
  bool expired = false;
  Timer timer(*loop, [&] { expired = true; });
  REQUIRE(loop->watch(pipe.read.get(), [&] {
    pipe.get();
    timer.arm(loop->now() + 1h);
  }));
  timer.arm(loop->now() - 1s);
  pipe.put('p');
  loop->turn();
  CHECK_FALSE(expired);
  CHECK(timer.armed());
}

TEST_CASE("more descriptors than fit into one answer of epoll are all read before the timers", "[net][event-loop]") {
  const auto loop = make_loop();
  std::vector<Pipe> pipes(150);
  std::size_t read = 0;
  std::size_t read_when_expired = 0;
  Timer timer(*loop, [&] { read_when_expired = read; });
  for (const auto& pipe : pipes) {
    pipe.put('p');
    REQUIRE(loop->watch(pipe.read.get(), [&] {
      pipe.get();
      ++read;
    }));
  }
  timer.arm(loop->now() - 1s);
  loop->turn();
  CHECK(read_when_expired == pipes.size());
}

TEST_CASE("timers expire in the order of their deadlines and only once", "[net][event-loop]") {
  const auto loop = make_loop();
  std::string order;
  Timer late(*loop, [&] { order += 'l'; });
  Timer early(*loop, [&] { order += 'e'; });
  Timer never(*loop, [&] { order += 'n'; });
  late.arm(loop->now() - 1s);
  early.arm(loop->now() - 2s);
  never.arm(loop->now() - 3s);
  never.disarm();
  loop->turn();
  CHECK(order == "el");
  CHECK_FALSE(early.armed());
}

TEST_CASE("a timer that arms itself in the past runs once a turn", "[net][event-loop]") {
  const auto loop = make_loop();
  int runs = 0;
  Timer* self = nullptr;
  Timer timer(*loop, [&] {
    ++runs;
    self->arm(loop->now() - 1s);
  });
  self = &timer;
  timer.arm(loop->now() - 1s);
  loop->turn();
  CHECK(runs == 1);
  loop->turn();
  CHECK(runs == 2);
}

TEST_CASE("a timer may be destroyed by its own expiry", "[net][event-loop]") {
  const auto loop = make_loop();
  std::unique_ptr<Timer> timer;
  bool expired = false;
  timer = std::make_unique<Timer>(*loop, [&] {
    timer.reset();
    expired = true;
  });
  timer->arm(loop->now() - 1s);
  loop->turn();
  CHECK(expired);
}

TEST_CASE("the loop sleeps until the deadline and not longer than it must", "[net][event-loop]") {
  const auto loop = make_loop();
  const auto deadline = Clock::now() + 20ms;
  bool expired = false;
  Timer timer(*loop, [&] { expired = true; });
  Timer moved(*loop, [] {});
  moved.arm(deadline + 1h);
  moved.arm(deadline + 2h);
  timer.arm(deadline);
  while (!expired) loop->turn();
  CHECK(Clock::now() >= deadline);
}

TEST_CASE("a deadline that moves later costs an idle turn at the old one, and then expires", "[net][event-loop]") {
  const auto loop = make_loop();
  bool expired = false;
  Timer timer(*loop, [&] { expired = true; });
  const auto first = Clock::now() + 5ms;
  timer.arm(first);
  Timer other(*loop, [] {});
  other.arm(first - 5ms);
  loop->turn();  // sets the kernel's timer
  timer.arm(first + 5ms);
  while (!expired) loop->turn();
  CHECK(loop->now() >= first + 5ms);
}

TEST_CASE("tasks of other threads run on the loop's thread in the order posted", "[net][event-loop]") {
  const auto loop = make_loop();
  std::vector<int> order;
  bool same_thread = true;
  const auto here = std::this_thread::get_id();
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) {
      loop->post([&, i] {
        order.push_back(i);
        same_thread = same_thread && std::this_thread::get_id() == here;
      });
    }
    loop->post([&] { loop->stop(); });
  });
  loop->run();
  poster.join();
  REQUIRE(order.size() == 1000);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(same_thread);
}

TEST_CASE("a task posted after stop is dropped", "[net][event-loop]") {
  const auto loop = make_loop();
  const auto witness = std::make_shared<int>(0);
  loop->stop();
  loop->post([witness] { ++*witness; });
  CHECK_FALSE(loop->turn());
  CHECK(*witness == 0);
  CHECK(witness.use_count() == 1);
}

TEST_CASE("work left at the end of a turn keeps the loop from sleeping", "[net][event-loop]") {
  const auto loop = make_loop();
  int left = 3;
  loop->at_turn_end([&] { return --left > 0; });
  loop->post([] {});
  while (left > 0) loop->turn();  // would hang if a turn with work left slept
  CHECK(left == 0);
}

TEST_CASE("a descriptor may be unwatched by its own reader", "[net][event-loop]") {
  const auto loop = make_loop();
  const Pipe pipe;
  int reads = 0;
  REQUIRE(loop->watch(pipe.read.get(), [&] {
    ++reads;
    loop->unwatch(pipe.read.get());
  }));
  pipe.put('p');
  loop->turn();
  loop->post([] {});
  loop->turn();
  CHECK(reads == 1);
}
