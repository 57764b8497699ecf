// Events (events.k8s.io/v1), aggregated as client-go's recorder does it.
//
// Owns: one series for each notice that was seen lately. The first time it is POSTed; the second time the Event gets a
// `series` by a PATCH; from then on it is counted here, and the count is written every 30 minutes, and once more when
// the notice has not been seen for six minutes, after which it is forgotten. A PATCH that finds the Event gone (a
// server keeps them for an hour) becomes a POST. What stands, as a problem does until it is mended, is seen again with
// each heartbeat, so that its Event lives as long as it does.
//
// Nothing here can hold anybody up, or grow: one request is under way at a time, more than 1000 series are not kept (a
// new one is dropped and counted), a server that cannot be reached is tried twelve times, ten seconds and a bit apart,
// and what it rejects is not tried again. What it forbids (403) is left alone for ten minutes in that namespace.
//
// Unlike in client-go the note is part of what makes two notices the same: the problems of one object are told apart by
// nothing else, and each is said once until it changes.
//
// `kubectl describe` finds Events by the object's uid, so that is looked up before the first POST; without it (no
// right, no such object) the Event is written all the same and `kubectl get events` shows it.
//
// Pure: time is an argument. See kubernetes-client B.9; RBAC: events create and patch in the namespace of the object.

#include "controller/report/event_series.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/report/api_answer.h"

namespace vipkeeper::report {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view controller = "vipkeeper.io/vipkeeper";
constexpr std::size_t longest_note = 1024;
constexpr std::size_t longest_instance = 128;
constexpr std::size_t longest_name = 253;

// metav1.MicroTime
std::string micro_time(WallTime time) {
  const auto microseconds = std::chrono::floor<std::chrono::microseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(microseconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (microseconds - seconds).count());
}

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Of the Event; that of what it regards, which for objects of the cluster is "default" (apimachinery's rule).
std::string name_space_of(const Notice& notice) {
  return notice.regarding.name_space.empty() ? "default" : notice.regarding.name_space;
}

Json reference(const ObjectReference& object, const std::string& uid) {
  Json json = {{"apiVersion", "v1"}, {"kind", object.kind}, {"name", object.name}};
  if (!object.name_space.empty()) json["namespace"] = object.name_space;
  if (!uid.empty()) json["uid"] = uid;
  if (!object.field_path.empty()) json["fieldPath"] = object.field_path;
  return json;
}

Json series_of(std::uint64_t count, WallTime last) {
  return {{"count", count}, {"lastObservedTime", micro_time(last)}};
}

// The object's metadata by the verb that the roles grant: the own pod by name, the rest by a list, which is granted for
// the sources.
ApiRequest look_up(const ObjectReference& object) {
  std::string path = "/api/v1/";
  if (!object.name_space.empty()) path += "namespaces/" + object.name_space + "/";
  const bool by_name = object.kind == "Pod";
  path += by_name                      ? "pods/" + object.name
          : object.kind == "ConfigMap" ? "configmaps"
          : object.kind == "Node"      ? "nodes"
                                       : "services";
  if (!by_name) path += "?fieldSelector=metadata.name%3D" + object.name;
  return {.method = "GET",
          .target = std::move(path),
          .accept = fmt::format("application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json",
                                by_name ? "" : "List")};
}

// Of the answer to that; empty: it does not say.
std::string uid_in(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const auto member = [](const nlohmann::json& object, const char* name) {
    return object.is_object() && object.contains(name) ? object[name] : nlohmann::json();
  };
  const auto items = member(json, "items");
  const auto uid = member(member(items.is_array() && items.size() == 1 ? items.front() : json, "metadata"), "uid");
  return uid.is_string() ? uid.get<std::string>() : "";
}

}  // namespace

EventSeries::EventSeries(EventOptions options, std::uint32_t seed)
    : options_(std::move(options)), random_(seed), refusals_("Events", "create and patch of events.k8s.io events") {}

EventSeries::Series* EventSeries::see(const Moment& at, const Notice& notice) {
  const auto known = series_.find(notice);
  if (known == series_.end() && series_.size() >= options_.most) {
    ++events_dropped_;
    return nullptr;
  }
  Series& series = known != series_.end() ? known->second : series_[notice];
  if (series.count == 0) {
    series.first = at.wall;
    series.due = at.now;
    series.pending = true;
  }
  ++series.count;
  series.last = at.wall;
  series.last_seen = at.now;
  series.closing = false;
  // The second time is written at once, and makes it a series; later ones with the heartbeat.
  if (series.written == 1 && !series.pending) {
    series.pending = true;
    series.due = at.now;
  }
  return &series;
}

void EventSeries::observe(const Moment& at, const Notice& notice) { see(at, notice); }

void EventSeries::stand(const Moment& at, const Notice& notice) {
  const auto known = series_.find(notice);
  if (known != series_.end() && known->second.standing) return;
  if (Series* series = see(at, notice)) series->standing = true;
}

void EventSeries::withdraw(const Moment& at, const Notice& notice) {
  const auto known = series_.find(notice);
  if (known == series_.end() || !known->second.standing) return;
  known->second.standing = false;
  known->second.last_seen = at.now;
}

// A series that is over; one whose count is not written yet has that before it.
bool EventSeries::is_finished(const Moment& at, Series& series) const {
  if (series.standing || at.now < series.last_seen + options_.silence) return false;
  if (series.written == 0 || series.written == series.count) return true;
  if (!std::exchange(series.closing, true)) {
    series.pending = true;
    series.due = at.now;
  }
  return false;
}

void EventSeries::advance(const Moment& at) {
  for (auto one = series_.begin(); one != series_.end();) {
    Series& series = one->second;
    if (is_finished(at, series)) {
      if (series.written == 0) ++events_dropped_;
      one = series_.erase(one);
      continue;
    }
    if (!series.pending && series.written != 0 && at.now >= series.written_at + options_.heartbeat) {
      if (series.standing) {
        ++series.count;
        series.last = at.wall;
        series.last_seen = at.now;
      }
      series.pending = series.count > series.written;
      series.due = at.now;
      series.written_at = at.now;
    }
    ++one;
  }
}

TimePoint EventSeries::due(const Notice& notice, const Series& series) const {
  return std::max(series.due, refusals_.opens(name_space_of(notice)));
}

std::optional<ApiRequest> EventSeries::next(const Moment& at) {
  if (under_way_) return std::nullopt;
  advance(at);
  All::iterator first = series_.end();
  for (auto one = series_.begin(); one != series_.end(); ++one) {
    if (!one->second.pending || due(one->first, one->second) > at.now) continue;
    if (first == series_.end() || one->second.due < first->second.due) first = one;
  }
  if (first == series_.end()) return std::nullopt;
  return request(at, first->first, first->second);
}

ApiRequest EventSeries::request(const Moment& at, const Notice& notice, Series& series) {
  const auto start = [&](Stage stage) { under_way_ = UnderWay{notice, stage, series.count}; };
  if (series.written == 0 && !series.looked_up) {
    start(Stage::look_up);
    return look_up(notice.regarding);
  }
  const std::string name_space = name_space_of(notice);
  const std::string events = "/apis/events.k8s.io/v1/namespaces/" + name_space + "/events";
  if (series.written != 0) {
    start(Stage::patch);
    return {.method = "PATCH",
            .target = events + "/" + series.name,
            .content_type = "application/merge-patch+json",
            .body = dumped({{"series", series_of(series.count, series.last)}})};
  }
  start(Stage::post);
  if (series.name.empty()) {
    const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(at.wall.time_since_epoch()).count();
    last_name_ = std::max(last_name_ + 1, now);
    series.name = fmt::format("{}.{:x}", notice.regarding.name.substr(0, longest_name - 17), last_name_);
  }
  Json event = {{"apiVersion", "events.k8s.io/v1"},
                {"kind", "Event"},
                {"metadata", {{"name", series.name}, {"namespace", name_space}}},
                {"eventTime", micro_time(series.first)},
                {"reportingController", controller},
                {"reportingInstance", shortened(options_.instance, longest_instance)},
                {"type", notice.warning ? "Warning" : "Normal"},
                {"reason", notice.reason},
                {"action", notice.action},
                {"regarding", reference(notice.regarding, series.uid)},
                {"note", shortened(notice.note, longest_note)}};
  if (notice.related) event["related"] = reference(*notice.related, "");
  if (series.count > 1) event["series"] = series_of(series.count, series.last);
  return {.method = "POST", .target = events, .content_type = "application/json", .body = dumped(event)};
}

void EventSeries::answered(const Moment& at, const ApiAnswer& answer) {
  if (!under_way_) return;
  const UnderWay was = *std::exchange(under_way_, std::nullopt);
  const auto one = series_.find(was.notice);
  if (one == series_.end()) return;
  Series& series = one->second;
  if (is_passing(answer)) {
    try_later(at, one, answer);
  } else if (was.stage == Stage::look_up) {
    series.looked_up = true;
    if (answer.status == 200) series.uid = uid_in(answer.text);
  } else if (is_forbidden(answer)) {
    refusals_.refuse(at.now, name_space_of(was.notice), message_in(answer));
  } else if (was.stage == Stage::patch && answer.status == 404) {
    series.written = 0;
    series.name.clear();
  } else if (answer.status / 100 == 2 || (was.stage == Stage::post && answer.status == 409)) {
    // 409: an earlier try got there, only its answer did not.
    refusals_.granted(name_space_of(was.notice));
    written(at, series, was.count);
  } else {
    ++events_rejected_;
    give_up(at, one);
  }
}

void EventSeries::written(const Moment& at, Series& series, std::uint64_t count) {
  ++events_written_;
  series.tries = 0;
  series.pending = count == 1 && series.count > 1;
  series.due = at.now;
  series.written = count;
  series.written_at = at.now;
}

void EventSeries::try_later(const Moment& at, All::iterator one, const ApiAnswer& answer) {
  Series& series = one->second;
  if (++series.tries >= options_.tries) {
    ++events_dropped_;
    give_up(at, one);
    return;
  }
  std::uniform_real_distribution<double> jitter(1.0, 1.25);
  Duration wait = std::chrono::duration_cast<Duration>(options_.retry * jitter(random_));
  if (answer.retry_after) wait = std::max<Duration>(wait, *answer.retry_after);
  series.due = at.now + wait;
}

// What stands gets another chance with the next heartbeat; the rest is forgotten.
void EventSeries::give_up(const Moment& at, All::iterator one) {
  Series& series = one->second;
  if (!series.standing) {
    series_.erase(one);
    return;
  }
  series.tries = 0;
  series.pending = true;
  series.due = at.now + options_.heartbeat;
}

std::optional<TimePoint> EventSeries::deadline() const {
  std::optional<TimePoint> first;
  const auto take = [&](TimePoint time) { first = first ? std::min(*first, time) : time; };
  for (const auto& [notice, series] : series_) {
    if (series.pending) take(due(notice, series));
    if (!series.pending && series.written != 0) take(series.written_at + options_.heartbeat);
    if (!series.standing && !series.closing) take(series.last_seen + options_.silence);
  }
  return first;
}

void EventSeries::count(status::Counters& counters) const {
  counters["events_written"] += events_written_;
  counters["events_dropped"] += events_dropped_;
  counters["events_rejected"] += events_rejected_;
}

}  // namespace vipkeeper::report
