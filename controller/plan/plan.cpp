#include "controller/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace vipkeeper::plan {

namespace {

template <class T>
bool same_value(const std::shared_ptr<const T>& one, const std::shared_ptr<const T>& other) {
  return one == other || (one != nullptr && other != nullptr && *one == *other);
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::masquerade:
      return "NAT";
    case Method::direct:
      return "DR";
    case Method::tunnel:
      return "TUN";
    case Method::proxy:
      return "PROXY";
  }
  return "?";
}

std::string_view to_string(Masquerade masquerade) {
  switch (masquerade) {
    case Masquerade::automatic:
      return "auto";
    case Masquerade::always:
      return "always";
    case Masquerade::never:
      return "never";
  }
  return "?";
}

std::string VirtualServiceKey::to_string() const {
  return address.is_v4() ? fmt::format("{} {}:{}", vipkeeper::to_string(protocol), address.to_string(), port)
                         : fmt::format("{} [{}]:{}", vipkeeper::to_string(protocol), address.to_string(), port);
}

bool same(const VipPlan& one, const VipPlan& other) {
  return one.ready == other.ready && same_value(one.vrrp, other.vrrp) && one.problems == other.problems &&
         one.load_balancers == other.load_balancers &&
         std::ranges::equal(one.virtual_services, other.virtual_services, [](const auto& left, const auto& right) {
           return left.first == right.first && same_value(left.second, right.second);
         });
}

std::vector<Problem> all_problems(const Problems& problems) {
  std::vector<Problem> result;
  for (const auto& [object, list] : problems) result.insert(result.end(), list.begin(), list.end());
  return result;
}

}  // namespace vipkeeper::plan
