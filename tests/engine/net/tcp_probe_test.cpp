#include "engine/net/tcp_probe.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <map>

namespace vipkeeper::net {
namespace {

using namespace std::chrono_literals;
using Kind = check::Outcome::Kind;

// What works without a network, even with the loopback interface down; connections that open or never answer are probed
// in the guest kernel (tests/engine/ipvs/kernel).
struct Bench {
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  std::map<check::ProbeId, std::vector<check::Outcome>> outcomes;
  std::function<void()> on_outcome = [] {};
  std::unique_ptr<TcpProber> prober =
      std::move(TcpProber::create(*loop, [this](check::ProbeId id, const check::Outcome& o) {
                  outcomes[id].push_back(o);
                  on_outcome();
                }).value());

  void run_until_idle() {
    while (prober->under_way() > 0) loop->turn();
  }
};

// A TCP port of the loopback address that nobody listens at, kept from others while the test runs.
struct ClosedPort {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::uint16_t number = 0;

  ClosedPort() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void* raw = &address;
    socklen_t length = sizeof address;
    REQUIRE(::bind(fd.get(), static_cast<sockaddr*>(raw), sizeof address) == 0);
    REQUIRE(::getsockname(fd.get(), static_cast<sockaddr*>(raw), &length) == 0);
    number = ntohs(address.sin_port);
  }
};

const IpAddress loopback = IpAddress::v4(0x7f000001);

TEST_CASE("a closed port is refused, once, and never inside start()", "[check][probe]") {
  Bench bench;
  const ClosedPort port;
  bench.prober->start({{1, 1}, loopback, port.number, 5s});
  CHECK(bench.outcomes.empty());
  bench.run_until_idle();
  REQUIRE(bench.outcomes[{1, 1}].size() == 1);
  CHECK(bench.outcomes[{1, 1}][0].kind == Kind::refused);
  CHECK(bench.outcomes[{1, 1}][0].error != 0);
}

TEST_CASE("many probes at once each have their outcome", "[check][probe]") {
  Bench bench;
  const ClosedPort port;
  for (std::uint32_t i = 0; i < 500; ++i) bench.prober->start({{i, 1}, loopback, port.number, 5s});
  bench.run_until_idle();
  CHECK(bench.outcomes.size() == 500);
  for (const auto& [id, outcomes] : bench.outcomes) CHECK(outcomes.size() == 1);
}

TEST_CASE("an outcome may start the next probe", "[check][probe]") {
  Bench bench;
  const ClosedPort port;
  std::uint32_t serial = 1;
  bench.on_outcome = [&] {
    if (++serial <= 10) bench.prober->start({{1, serial}, loopback, port.number, 5s});
  };
  bench.prober->start({{1, 1}, loopback, port.number, 5s});
  bench.run_until_idle();
  CHECK(bench.outcomes.size() == 10);
}

TEST_CASE("no file descriptor left says nothing about the target", "[check][probe]") {
  Bench bench;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  bench.prober->start({{1, 1}, loopback, 1, 5s});
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  bench.run_until_idle();
  REQUIRE(bench.outcomes[{1, 1}].size() == 1);
  CHECK(bench.outcomes[{1, 1}][0].kind == Kind::local);
  CHECK(bench.outcomes[{1, 1}][0].error == EMFILE);
}

TEST_CASE("a prober may go while probes are under way", "[check][probe]") {
  Bench bench;
  const ClosedPort port;
  for (std::uint32_t i = 0; i < 10; ++i) bench.prober->start({{i, 1}, loopback, port.number, 5s});
  bench.prober.reset();
  bench.loop->stop();
  CHECK_FALSE(bench.loop->turn());
  CHECK(bench.outcomes.empty());
}

}  // namespace
}  // namespace vipkeeper::net
