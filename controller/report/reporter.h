#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controller/report/api.h"
#include "controller/report/problem_notices.h"
#include "controller/report/service_status.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// What the controller says, as far as it changed.
struct PlanReport {
  std::optional<std::vector<status::Problem>> problems{};  // all there are now
  // Whether there is a virtual router, so that somebody holds it; else this node speaks if it is the first in rank.
  std::optional<bool> has_router{};
  std::optional<bool> first_in_rank{};
  std::map<std::string, std::optional<ServiceIngress>> ingress{};  // by Service; nullopt: not ours, or gone
};

// What the engine says.
struct HostReport {
  std::vector<status::Problem> problems;
  std::map<std::string, std::string> routers;  // the states of the virtual routers: "MASTER", "BACKUP", ...
};

// Sends and returns at once; calls the listener once, from any thread, or not at all once it was stopped.
using SendRequest = std::function<void(ApiRequest, std::function<void(ApiAnswer)>)>;

struct ReporterEdges {
  SendRequest send;
  // Asked every `look`; must not wait.
  std::function<HostReport()> read_host;
  Duration look = std::chrono::seconds(1);
};

// Tells the API server: Events of problems and of who holds the addresses, and the status of LoadBalancer Services. See
// the head of reporter.cpp. What is told to it never waits.
class Reporter {
 public:
  Reporter(Reporting who, ReporterEdges edges, std::uint32_t seed);
  // Stops, if stop() was not called.
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  // Any thread; returns at once.
  void plan_changed(PlanReport report);

  // Sends nothing more; what is queued is dropped.
  void stop();

  // Any thread. What the API server forbids or does not take.
  [[nodiscard]] std::vector<status::Problem> problems() const;
  // events_written, events_dropped, service_status_written, ...
  [[nodiscard]] status::Counters counters() const;

 private:
  struct Input {
    PlanReport plan{};
    std::optional<ApiAnswer> answer{};
  };
  // "controller, sources -> reporter". Shared, because an answer may come when the reporter is gone.
  class Mailbox;

  void run();
  void take(const Moment& at, Input input);
  void take_routers(const Moment& at, const std::map<std::string, std::string>& routers);
  void update_notices(const Moment& at);
  void look_at_host(const Moment& at);
  void send_next(const Moment& at);
  void publish();
  [[nodiscard]] TimePoint deadline() const;

  const Reporting who_;
  const ReporterEdges edges_;

  std::shared_ptr<Mailbox> mailbox_;

  // The thread's own.
  EventSeries events_;
  ProblemNotices notices_;
  ServiceStatus services_;
  std::vector<status::Problem> plan_problems_;
  std::vector<status::Problem> host_problems_;
  bool has_router_ = false;
  bool first_in_rank_ = false;
  std::set<std::string> active_;  // the virtual routers that this node is the Active one of
  enum class Asked : std::uint8_t { nobody, events, services } asked_ = Asked::nobody;
  TimePoint send_after_{};
  TimePoint look_at_{};

  mutable std::mutex status_mutex_;  // guards the two below
  std::vector<status::Problem> problems_;
  status::Counters counters_;

  std::thread thread_;  // last: it uses all above
};

}  // namespace vipkeeper::report
