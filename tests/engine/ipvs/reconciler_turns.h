#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "engine/ipvs/reconciler.h"
#include "tests/engine/ipvs/fake_kernel.h"

namespace vipkeeper::ipvs {

using namespace std::chrono_literals;
using test::FakeKernel;

inline const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
inline const ServiceKey dns{Protocol::udp, IpAddress::v4(0xc000020b), 53, 0, Family::ipv4};
inline const DestinationKey one{IpAddress::v4(0x0a000001), 8080}, two{IpAddress::v4(0x0a000002), 8080};
inline const ServiceEntry one_server{{}, {{one, {}}}}, two_servers{{}, {{one, {}}, {two, {}}}};
inline const TimePoint start{1000h};
using Kind = OperationError::Kind;

inline ServiceKey numbered(unsigned number) {
  return {Protocol::tcp, IpAddress::v4(0xc0a80001 + number / 1000), static_cast<std::uint16_t>(1 + number % 1000), 0,
          Family::ipv4};
}

// One turn as the reconciler's essay has it.
inline std::vector<Reconciler::Failure> turn(Reconciler& reconciler, FakeKernel& kernel, TimePoint now) {
  if (reconciler.wants_whole_table(now)) {
    auto table = kernel.read();
    if (!table) return {};
    reconciler.observe(std::move(*table));
  }
  for (const ServiceKey& key : reconciler.wants_services(now)) {
    auto entry = kernel.read(key);
    if (entry) {
      reconciler.observe(key, std::move(*entry));
    } else if (std::holds_alternative<OperationError>(entry.error())) {
      reconciler.read_failed(now, key);
    } else {
      reconciler.invalidate();
      return {};
    }
  }
  const auto batch = reconciler.next(now, 1000);
  if (batch.empty()) return {};
  return reconciler.acknowledge(now, batch, kernel.apply(batch)).failures;
}

// Turns, moving time to each deadline, until nothing is left; false after many.
inline bool run(Reconciler& reconciler, FakeKernel& kernel, TimePoint& now) {
  for (int turns = 0; turns < 200; ++turns) {
    turn(reconciler, kernel, now);
    const auto deadline = reconciler.next_deadline(now);
    if (!deadline) return true;
    now = std::max(now, *deadline);
  }
  return false;
}

}  // namespace vipkeeper::ipvs
