#include "tests/controller/plan/churn.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

constexpr std::uint64_t seeds = 300;
constexpr int steps = 60;

void take(VipPlan& plan, const PlanChange& change) {
  plan.ready = change.ready;
  if (change.vrrp_changed) plan.vrrp = change.vrrp;
  for (const auto& [key, service] : change.virtual_services) {
    if (service == nullptr) {
      REQUIRE(plan.virtual_services.erase(key) == 1);
    } else {
      plan.virtual_services.insert_or_assign(key, service);
    }
  }
  for (const auto& [name, balancer] : change.load_balancers) {
    if (balancer) {
      plan.load_balancers.insert_or_assign(name, *balancer);
    } else {
      REQUIRE(plan.load_balancers.erase(name) == 1);
    }
  }
  for (const auto& [object, problems] : change.problems) {
    if (problems.empty()) {
      REQUIRE(plan.problems.erase(object) == 1);
    } else {
      plan.problems.insert_or_assign(object, problems);
    }
  }
}

// No part of a change says what was so before.
void check_minimal(const VipPlan& before, const PlanChange& change) {
  if (change.vrrp_changed && before.vrrp != nullptr && change.vrrp != nullptr)
    CHECK_FALSE(*before.vrrp == *change.vrrp);
  for (const auto& [key, service] : change.virtual_services) {
    const auto known = before.virtual_services.find(key);
    if (known != before.virtual_services.end() && service != nullptr) CHECK_FALSE(*known->second == *service);
  }
  for (const auto& [name, balancer] : change.load_balancers) {
    const auto known = before.load_balancers.find(name);
    if (known != before.load_balancers.end()) CHECK_FALSE(known->second == balancer);
  }
  for (const auto& [object, problems] : change.problems) {
    const auto known = before.problems.find(object);
    if (known != before.problems.end()) CHECK_FALSE(known->second == problems);
  }
}

void check_same(const VipPlan& one, const VipPlan& other) {
  CHECK(one.ready == other.ready);
  CHECK(held(one) == held(other));
  CHECK(services(one) == services(other));
  CHECK(problems(one) == problems(other));
  CHECK(one.load_balancers == other.load_balancers);
  REQUIRE(same(one, other));
}

TEST_CASE("after any changes the plan kept up to date is the plan of the whole, and its changes add up to it",
          "[plan][incremental][law]") {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    Churn churn(seed);
    Planner planner(churn_options(churn));
    planner.set_interfaces(eth0());
    VipPlan sum;
    bool synced = false;
    for (int number = 0; number < steps; ++number) {
      INFO("step " << number);
      const bool interfaces = churn.below(10) == 0;
      synced = synced || (!interfaces && number > 3);
      const auto change = interfaces ? planner.set_interfaces(churn.interfaces()) : planner.apply(churn.next(), synced);
      if (!synced) {
        REQUIRE(change.empty());
        REQUIRE_FALSE(change.ready);
        continue;
      }
      check_minimal(sum, change);
      take(sum, change);
      check_same(sum, planner.plan());
      check_same(planner.plan(), build_plan(planner.snapshot(), planner.interfaces(), planner.memory()));
    }
  }
}

TEST_CASE("a snapshot knows what its objects say now, whatever came and went before", "[plan][snapshot][law]") {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    Churn churn(seed);
    Snapshot snapshot(options());
    Touched touched;
    std::map<objects::ObjectKey, objects::ObjectChange> live;
    for (int number = 0; number < steps; ++number) {
      for (const auto& change : churn.next()) {
        snapshot.apply(change, touched);
        live.erase(change.key);
        if (change.object != nullptr) live.emplace(change.key, change);
      }
    }
    Snapshot fresh(options());
    for (const auto& [key, change] : live) fresh.apply(change, touched);
    for (std::uint32_t i = 0; i < 70; ++i) {
      const auto address = IpAddress::v4(0x0a000000U + i);
      INFO(address.to_string());
      CHECK(snapshot.user_of(address) == fresh.user_of(address));
      CHECK(snapshot.pod_range_owner(address) == fresh.pod_range_owner(address));
    }
    for (const char* of : {"default/a", "default/b", "default/c"}) {
      CHECK(snapshot.service(of) == fresh.service(of));
      CHECK(snapshot.slices(of) == fresh.slices(of));
    }
    CHECK(snapshot.nodes() == fresh.nodes());
  }
}

TEST_CASE("the changes of one batch come to the same plan as one by one", "[plan][incremental][law]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    Churn churn(seed);
    const auto with = options();
    Planner at_once(with);
    at_once.set_interfaces(eth0());
    Planner one_by_one(with);
    one_by_one.set_interfaces(eth0());
    std::vector<objects::ObjectChange> all = {is("n1", node("10.0.0.4"))};
    for (int number = 0; number < steps; ++number) {
      for (auto& change : churn.next()) all.push_back(change);
    }
    // Only what is not of the past: a last good form depends on what was seen on the way.
    std::erase_if(all, [](const auto& change) { return change.key.kind == objects::Kind::config_map; });
    all.push_back(entries({{"10.0.0.50", "default/a"}, {"10.0.0.51", "default/b:DR"}, {" 10.0.0.51", "default/c"}}));
    at_once.apply(all, true);
    for (std::size_t i = 0; i < all.size(); ++i) one_by_one.apply(std::span(all).subspan(i, 1), i + 1 == all.size());
    check_same(at_once.plan(), one_by_one.plan());
  }
}

}  // namespace
}  // namespace vipkeeper::plan
