#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/report/api.h"
#include "controller/report/refusals.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// What the status of a Service is to say.
struct ServiceIngress {
  std::vector<std::string> addresses;  // in order; none: nothing
  bool shown = false;                  // it says so already
};

// Writes status.loadBalancer.ingress of Services: on difference only, and only while this node is the Active one. A
// PATCH of the whole list (it is listType=atomic), every address with ipMode VIP. Pure; one request is under way at a
// time. RBAC: patch of services/status.
//
// What was written is left alone for ten seconds, until the watch shows it; where it never does, because somebody
// undoes it, it is written again with doubled patience, up to ten minutes. No failure is final: the difference stays.
class ServiceStatus {
 public:
  // `service`: "namespace/name"; nullopt: not one of ours, or gone.
  void want(const Moment& at, const std::string& service, std::optional<ServiceIngress> ingress);
  void set_active(bool active) { active_ = active; }

  std::optional<ApiRequest> next(const Moment& at);
  void answered(const Moment& at, const ApiAnswer& answer);
  // When next() may have one; nullopt: not by itself. Meant while no request is under way.
  [[nodiscard]] std::optional<TimePoint> deadline() const;

  // What is forbidden, and Services whose status the server does not take.
  [[nodiscard]] std::vector<status::Problem> problems() const;
  // service_status_written, service_status_rejected
  void count(status::Counters& counters) const;

 private:
  struct Difference {
    std::vector<std::string> addresses;
    TimePoint due{};
    Duration patience{};
    std::string rejected;  // what the server said
  };
  [[nodiscard]] TimePoint due(const std::string& service, const Difference& difference) const;

  bool active_ = false;
  std::map<std::string, Difference> differences_;
  std::optional<std::string> under_way_;
  std::vector<std::string> written_;  // by the request under way
  Refusals refusals_{"the addresses of LoadBalancer Services", "patch of services/status"};
  std::uint64_t statuses_written_ = 0;
  std::uint64_t statuses_rejected_ = 0;
};

}  // namespace vipkeeper::report
