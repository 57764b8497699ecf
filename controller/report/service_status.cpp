#include "controller/report/service_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/report/api_answer.h"

namespace vipkeeper::report {

namespace {

constexpr Duration least_patience = std::chrono::seconds(10);
constexpr Duration most_patience = std::chrono::minutes(10);
constexpr std::size_t problems_shown = 20;

std::string name_space_of(const std::string& service) { return service.substr(0, service.find('/')); }

ApiRequest patch(const std::string& service, const std::vector<std::string>& addresses) {
  nlohmann::ordered_json ingress = nullptr;
  for (const auto& address : addresses) ingress.push_back({{"ip", address}, {"ipMode", "VIP"}});
  const nlohmann::ordered_json body = {{"status", {{"loadBalancer", {{"ingress", std::move(ingress)}}}}}};
  return {.method = "PATCH",
          .target = fmt::format("/api/v1/namespaces/{}/services/{}/status", name_space_of(service),
                                service.substr(service.find('/') + 1)),
          .content_type = "application/merge-patch+json",
          .body = body.dump()};
}

}  // namespace

void ServiceStatus::want(const Moment& at, const std::string& service, std::optional<ServiceIngress> ingress) {
  if (!ingress || ingress->shown) {
    differences_.erase(service);
    return;
  }
  const auto [found, added] = differences_.try_emplace(service);
  Difference& difference = found->second;
  if (!added && difference.addresses == ingress->addresses) return;
  difference = {.addresses = std::move(ingress->addresses), .due = at.now, .patience = least_patience, .rejected = {}};
}

TimePoint ServiceStatus::due(const std::string& service, const Difference& difference) const {
  return std::max(difference.due, refusals_.opens(name_space_of(service)));
}

std::optional<ApiRequest> ServiceStatus::next(const Moment& at) {
  if (!active_ || under_way_) return std::nullopt;
  const auto found =
      std::ranges::find_if(differences_, [&](const auto& one) { return due(one.first, one.second) <= at.now; });
  if (found == differences_.end()) return std::nullopt;
  under_way_ = found->first;
  written_ = found->second.addresses;
  return patch(found->first, found->second.addresses);
}

void ServiceStatus::answered(const Moment& at, const ApiAnswer& answer) {
  if (!under_way_) return;
  const std::string service = *std::exchange(under_way_, std::nullopt);
  const bool good = answer.status / 100 == 2;
  if (good) {
    ++statuses_written_;
    refusals_.granted(name_space_of(service));
  }
  if (is_forbidden(answer)) {
    refusals_.refuse(at.now, name_space_of(service), message_in(answer));
    return;
  }
  const auto found = differences_.find(service);
  // Shown meanwhile, or another list is wanted by now.
  if (found == differences_.end() || found->second.addresses != written_) return;
  Difference& difference = found->second;
  difference.due = at.now + difference.patience;
  if (answer.retry_after) difference.due = std::max<TimePoint>(difference.due, at.now + *answer.retry_after);
  difference.patience = std::min(difference.patience * 2, most_patience);
  difference.rejected.clear();
  if (good || is_passing(answer) || answer.status == 404 || answer.status == 409) return;
  ++statuses_rejected_;
  difference.rejected = fmt::format("{}: {}", answer.status, message_in(answer));
}

std::optional<TimePoint> ServiceStatus::deadline() const {
  if (!active_ || differences_.empty()) return std::nullopt;
  TimePoint first = TimePoint::max();
  for (const auto& [service, difference] : differences_) first = std::min(first, due(service, difference));
  return first;
}

std::vector<status::Problem> ServiceStatus::problems() const {
  auto result = refusals_.problems();
  for (const auto& [service, difference] : differences_) {
    if (difference.rejected.empty()) continue;
    if (result.size() >= problems_shown) break;
    result.push_back(
        {false, "Service " + service,
         fmt::format("its status cannot be written ({}); its addresses are served all the same", difference.rejected)});
  }
  return result;
}

void ServiceStatus::count(status::Counters& counters) const {
  counters["service_status_written"] += statuses_written_;
  counters["service_status_rejected"] += statuses_rejected_;
}

}  // namespace vipkeeper::report
