#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "controller/report/api.h"
#include "controller/report/refusals.h"
#include "engine/base/clock.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::report {

// core/v1 ObjectReference, as far as an Event names an object; the uid is looked up when it is written.
struct ObjectReference {
  std::string kind;
  std::string name_space{};  // empty: of the cluster
  std::string name;
  std::string field_path{};  // "data[10.0.0.50]"
  auto operator<=>(const ObjectReference&) const = default;
};

// Something worth an Event. Two that are equal are one Event, seen twice.
struct Notice {
  bool warning = false;  // else Normal
  std::string reason;    // "VipProblem": CamelCase, for machines
  std::string action;    // "ServeVip": what was done or failed
  std::string note;      // for people
  ObjectReference regarding;
  std::optional<ObjectReference> related{};
  auto operator<=>(const Notice&) const = default;
};

struct EventOptions {
  std::string instance;  // reportingInstance: the node
  std::size_t most = 1000;
  Duration heartbeat = std::chrono::minutes(30);
  Duration silence = std::chrono::minutes(6);
  int tries = 12;
  Duration retry = std::chrono::seconds(10);  // plus up to a quarter
};

// Notices in, requests to events.k8s.io/v1 out: see the head of event_series.cpp. Pure; one request is under way at a
// time.
class EventSeries {
 public:
  EventSeries(EventOptions options, std::uint32_t seed);

  // It has happened now.
  void observe(const Moment& at, const Notice& notice);
  // It is so from now on, and no longer: what stands is observed again with each heartbeat.
  void stand(const Moment& at, const Notice& notice);
  void withdraw(const Moment& at, const Notice& notice);

  // The request that is due, if any; the next comes after its answer.
  std::optional<ApiRequest> next(const Moment& at);
  void answered(const Moment& at, const ApiAnswer& answer);
  // When next() may have one; nullopt: not by itself. Meant while no request is under way.
  [[nodiscard]] std::optional<TimePoint> deadline() const;

  [[nodiscard]] std::vector<status::Problem> problems() const { return refusals_.problems(); }
  // events_written, events_dropped, events_rejected
  void count(status::Counters& counters) const;
  [[nodiscard]] std::size_t size() const { return series_.size(); }

 private:
  enum class Stage : std::uint8_t { look_up, post, patch };
  struct Series {
    std::string name;  // of the Event
    std::string uid;   // of the object
    bool looked_up = false;
    WallTime first{};
    WallTime last{};
    TimePoint last_seen{};
    std::uint64_t count = 0;
    std::uint64_t written = 0;  // the count that the server knows; 0: there is no Event
    TimePoint written_at{};
    bool standing = false;
    bool closing = false;  // over; what is pending is the last
    bool pending = false;  // something is to be written at `due`
    TimePoint due{};
    int tries = 0;
  };
  struct UnderWay {
    Notice notice;
    Stage stage;
    std::uint64_t count;
  };
  using All = std::map<Notice, Series>;

  Series* see(const Moment& at, const Notice& notice);
  void advance(const Moment& at);
  bool is_finished(const Moment& at, Series& series) const;
  [[nodiscard]] TimePoint due(const Notice& notice, const Series& series) const;
  ApiRequest request(const Moment& at, const Notice& notice, Series& series);
  void written(const Moment& at, Series& series, std::uint64_t count);
  void try_later(const Moment& at, All::iterator one, const ApiAnswer& answer);
  void give_up(const Moment& at, All::iterator one);

  EventOptions options_;
  std::minstd_rand random_;
  Refusals refusals_;
  All series_;
  std::optional<UnderWay> under_way_;
  std::int64_t last_name_ = 0;
  std::uint64_t events_written_ = 0;
  std::uint64_t events_dropped_ = 0;
  std::uint64_t events_rejected_ = 0;
};

}  // namespace vipkeeper::report
