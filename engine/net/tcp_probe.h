#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/check/schedule.h"
#include "engine/net/event_loop.h"

namespace vipkeeper::net {

// TCP_CHECK's probes: connections that are opened and thrown away. Thousands may be under way at once; each is one file
// descriptor in an epoll set of this object's own, which the loop sees as one, and one deadline. A connection that
// opens is reset (SO_LINGER 0), so neither end keeps it in TIME_WAIT.
//
// On the loop's thread. `on_outcome` is called once for each start(), never inside start(), and may start more.
class TcpProber {
 public:
  using OnOutcome = std::function<void(check::ProbeId id, const check::Outcome& outcome)>;

  static Result<std::unique_ptr<TcpProber>> create(EventLoop& loop, OnOutcome on_outcome);
  ~TcpProber();
  TcpProber(const TcpProber&) = delete;
  TcpProber& operator=(const TcpProber&) = delete;

  // `probe.id` is none that is under way.
  void start(const check::Probe& probe);
  // Started, and not reported yet.
  [[nodiscard]] std::size_t under_way() const { return attempts_.size() + ended_.size(); }

 private:
  struct Attempt {
    UniqueFd fd;
    check::ProbeId id;
    TimePoint started;
    TimePoint deadline;
  };

  TcpProber(EventLoop& loop, OnOutcome on_outcome, UniqueFd epoll);
  void handle_events();
  void handle_timeouts();
  void report_ended();
  void end(int fd, check::Outcome::Kind kind, int error);
  void end_at_once(const check::Probe& probe, int error);
  void arm();

  EventLoop& loop_;
  OnOutcome on_outcome_;
  UniqueFd epoll_;
  std::unordered_map<int, Attempt> attempts_;
  std::set<std::pair<TimePoint, int>> deadlines_;
  std::vector<std::pair<check::ProbeId, check::Outcome>> ended_;
  Timer timeout_;
  Timer report_;
};

}  // namespace vipkeeper::net
