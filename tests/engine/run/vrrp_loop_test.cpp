#include "engine/run/vrrp/vrrp_loop.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

using namespace std::chrono_literals;
using namespace vipkeeper;
using namespace vipkeeper::run;

namespace {

std::shared_ptr<config::VrrpInstance> instance(const std::string& name, std::uint8_t vrid) {
  auto result = std::make_shared<config::VrrpInstance>();
  result->name = name;
  result->interface = "lo";
  result->vrid = vrid;
  config::VirtualAddress address;
  address.prefix = *IpPrefix::parse("192.0.2." + std::to_string(vrid) + "/32");
  address.interface = "lo";
  result->addresses.push_back(address);
  return result;
}

std::shared_ptr<VrrpConfig> config_of(std::vector<std::shared_ptr<const config::VrrpInstance>> instances) {
  auto result = std::make_shared<VrrpConfig>();
  result->instances = std::move(instances);
  return result;
}

void wait_until_settled(const VrrpLoop& loop) {
  const auto deadline = Clock::now() + 20s;
  while (!loop.settled() && Clock::now() < deadline) std::this_thread::yield();
  REQUIRE(loop.settled());
}

}  // namespace

TEST_CASE("a dry run shows the virtual routers in INIT and needs no rights", "[run][vrrp][dry-run]") {
  auto loop = VrrpLoop::start({.dry_run = true});
  REQUIRE(loop);
  (*loop)->apply(config_of({instance("b", 2), instance("a", 1)}));
  wait_until_settled(**loop);
  const auto status = (*loop)->status();
  REQUIRE(status->size() == 2);
  CHECK(status->at(0).name == "b");
  CHECK(status->at(1).name == "a");
  for (const auto& router : *status) {
    CHECK(router.state == "INIT");
    CHECK(router.counters.adverts_sent == 0);
    REQUIRE(router.addresses.size() == 1);
    CHECK_FALSE(router.addresses.front().present);
  }
  CHECK(status->at(1).addresses.front().address == "192.0.2.1/32");
}

TEST_CASE("the newest configuration wins, and routers that it lacks are gone", "[run][vrrp][dry-run]") {
  auto loop = VrrpLoop::start({.dry_run = true});
  REQUIRE(loop);
  for (std::uint8_t i = 1; i < 50; ++i) (*loop)->apply(config_of({instance("old", i)}));
  const auto renamed = instance("new", 49);
  renamed->priority = 150;
  (*loop)->apply(config_of({renamed}));
  wait_until_settled(**loop);
  const auto status = (*loop)->status();
  REQUIRE(status->size() == 1);
  CHECK(status->front().name == "new");
  CHECK(status->front().priority == 150);
}

TEST_CASE("of two instances with one interface and VRID the first is taken", "[run][vrrp][dry-run]") {
  auto loop = VrrpLoop::start({.dry_run = true});
  REQUIRE(loop);
  (*loop)->apply(config_of({instance("first", 1), instance("second", 1)}));
  wait_until_settled(**loop);
  const auto status = (*loop)->status();
  REQUIRE(status->size() == 1);
  CHECK(status->front().name == "first");
}

TEST_CASE("stop ends the loop, and what comes after it is ignored", "[run][vrrp][dry-run]") {
  auto loop = VrrpLoop::start({.dry_run = true});
  REQUIRE(loop);
  (*loop)->apply(config_of({instance("a", 1)}));
  (*loop)->stop();
  (*loop)->apply(config_of({instance("b", 2)}));
  (*loop)->script_result({"chk", true, false, ""});
  (*loop)->stop();
  CHECK((*loop)->status()->size() <= 1);
}

TEST_CASE("without rights the loop does not start and says which capability it needs", "[run][vrrp][permission]") {
  Result<std::unique_ptr<VrrpLoop>> loop;
  std::thread thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    ::syscall(SYS_capset, &header, none);
    loop = VrrpLoop::start({});
  });
  thread.join();
  REQUIRE_FALSE(loop);
  CHECK(loop.error().code == ErrorCode::permission);
  CHECK(loop.error().message.find("CAP_NET_RAW") != std::string::npos);
  CHECK(loop.error().message.find("add NET_ADMIN, NET_RAW") != std::string::npos);
}
