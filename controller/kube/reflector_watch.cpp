// The half of the reflector that reads events: the list as a stream, and the watch. See the head of reflector.cpp.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/json_member.h"
#include "controller/kube/reflector.h"

namespace vipkeeper::kube {

using nlohmann::json;

namespace {

constexpr Duration very_short_watch = std::chrono::seconds(1);
// Of watches that brought something and yet ended at once: after so many in a row there is a pause.
constexpr unsigned most_short_watches = 3;
constexpr unsigned most_cut_streams = 2;
constexpr unsigned most_patience = 8;
constexpr Duration wait_for_first_item = std::chrono::seconds(10);
constexpr const char* end_of_list = "k8s.io/initial-events-end";

}  // namespace

// --- the list as a stream

Step Reflector::stream(TimePoint now, std::string resource_version) {
  list_version_ = std::move(resource_version);
  items_.clear();
  quiet_ = true;
  ++streams_;
  Step step = request_watch(now, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=" +
                                     percent_encode(list_version_));
  phase_ = Phase::streaming;
  step.wait = wait_for_first_item;
  return step;
}

void Reflector::stream_object(std::string_view type, Item item) {
  if (type == "DELETED") {
    items_.erase(item.key);
  } else {
    objects::ObjectKey key = item.key;
    items_.insert_or_assign(std::move(key), std::move(item));
  }
}

// `may_come_back`: the server says that it cannot now, rather than that it will not.
Step Reflector::stream_failed(TimePoint now, const StatusAnswer& answer, bool may_come_back) {
  items_.clear();
  if (is_expired(answer) || answer.resource_version_too_large) {
    ++expired_;
    return list_version_.empty() ? back_off(now, Next::list) : stream(now, "");
  }
  if (!may_come_back) return go_on(now, Next::pages);
  ++errors_;
  set_problem(fmt::format("list {}: {}", resource_.name, answer.message));
  return back_off(now, Next::list);
}

Step Reflector::stream_ended(TimePoint now, const Ended& event) {
  if (status_ == 0) return no_head(now, event, Next::list);
  if (status_ != status_ok) {
    StatusAnswer answer = parse_status(error_body_);
    if (status_ == status_gone) answer.code = status_gone;
    answer.message = describe_status(status_, error_body_);
    const bool unauthorized = status_ == status_unauthorized;
    const bool busy = status_ == status_too_many || (status_ >= status_server_error && retry_after_);
    Step step = stream_failed(now, answer, busy || unauthorized);
    step.token_refused = unauthorized;
    return step;
  }
  ++errors_;
  set_problem(fmt::format("list {}: the stream ended before the list", resource_.name));
  return back_off(now, ++cut_streams_ < most_cut_streams ? Next::list : Next::pages);
}

// --- watch

Step Reflector::watch(TimePoint now) {
  Step step = request_watch(now, "&resourceVersion=" + percent_encode(last_version_));
  phase_ = Phase::watching;
  ++watches_;
  return step;
}

Step Reflector::request_watch(TimePoint now, const std::string& parameters) {
  begin_answer();
  watch_events_ = 0;
  asked_at_ = now;
  // client-go: a time-out of the server's own, random, so that the watches of a cluster do not all end together.
  std::uniform_int_distribution<int> seconds(300, 600);
  Step step;
  step.request =
      Request{fmt::format("{}?watch=1&allowWatchBookmarks=true{}&timeoutSeconds={}{}{}", resource_.path, parameters,
                          seconds(random_), resource_.selector.empty() ? "" : "&", resource_.selector),
              true, patience_};
  return step;
}

Step Reflector::watch_bytes(TimePoint now, std::string_view bytes) {
  Step step;
  const bool sane = lines_.feed(bytes, [&](std::string_view line) {
    watch_line(now, line, step);
    return !step.abort;
  });
  if (sane) return step;
  ++errors_;
  set_problem(fmt::format("watch {}: a line of more than {} bytes", resource_.name, LineSplitter::longest));
  step.wait = back_off(now, Next::list).wait;
  step.abort = true;
  return step;
}

void Reflector::watch_line(TimePoint now, std::string_view line, Step& step) {
  const auto event = reader_.read_event(resource_.kind, line);
  const std::string type = event && event->is_object() ? text_member(*event, "type") : std::string();
  if (type.empty()) {
    ++errors_;
    set_problem(fmt::format("watch {}: a line that is no event", resource_.name));
    step.wait = back_off(now, Next::list).wait;
    step.abort = true;
    return;
  }
  const json& object = member(*event, "object");
  if (type == "ERROR") {
    Step next = watch_error(now, object.dump());
    step.request = std::move(next.request);
    step.wait = next.wait;
    step.abort = true;
    return;
  }
  const json& metadata = member(object, "metadata");
  const std::string version = text_member(metadata, "resourceVersion");
  if (version.empty()) {
    ++skipped_;
    return;
  }
  ++watch_events_;
  expired_in_a_row_ = 0;
  if (type == "BOOKMARK") return bookmark(now, metadata, step);
  auto item = type == "ADDED" || type == "MODIFIED" || type == "DELETED" ? known_.read(object) : std::nullopt;
  // Before the end of a streamed list events come in no order of versions.
  if (phase_ == Phase::watching) last_version_ = version;
  if (!item) {
    ++skipped_;
  } else if (phase_ == Phase::streaming) {
    stream_object(type, *std::move(item));
  } else {
    watch_object(type, *std::move(item), step);
  }
}

void Reflector::bookmark(TimePoint now, const json& metadata, Step& step) {
  ++bookmarks_;
  std::string version = text_member(metadata, "resourceVersion");
  if (phase_ == Phase::watching) {
    last_version_ = std::move(version);
  } else if (text_member(member(metadata, "annotations"), end_of_list) == "true") {
    replace(std::move(version), step);
    phase_ = Phase::watching;
    watch_started_ = now;
  }
}

void Reflector::watch_object(std::string_view type, Item item, Step& step) {
  ++events_;
  if (type == "DELETED") {
    known_.remove(item.key, step.changes);
  } else {
    known_.adopt(std::move(item), step.changes);
  }
  objects_.set(known_.size());
}

Step Reflector::watch_error(TimePoint now, const std::string& status) {
  StatusAnswer answer = parse_status(status);
  if (answer.message.empty()) answer.message = status;
  const bool busy = answer.code == status_too_many;
  if (phase_ == Phase::streaming) return stream_failed(now, answer, busy);
  if (is_expired(answer)) return relist_expired(now);
  ++errors_;
  set_problem(fmt::format("watch {}: {}", resource_.name, answer.message));
  return back_off(now, busy ? Next::watch : Next::list);
}

Step Reflector::watch_ended(TimePoint now, const Ended& event) {
  if (status_ == 0) return no_head(now, event, Next::watch);
  if (status_ != status_ok) return watch_refused(now);
  // A line that was cut is dropped; its event comes again.
  if (now - watch_started_ >= very_short_watch) {
    short_in_a_row_ = 0;
    return watch(now);
  }
  if (watch_events_ > 0 && ++short_in_a_row_ < most_short_watches) return watch(now);
  ++errors_;
  return back_off(now, watch_events_ == 0 ? Next::list : Next::watch);
}

Step Reflector::watch_refused(TimePoint now) {
  const StatusAnswer answer = parse_status(error_body_);
  if (status_ == status_gone || is_expired(answer)) return relist_expired(now);
  ++errors_;
  set_problem(fmt::format("watch {}: {}", resource_.name, describe_status(status_, error_body_)));
  const bool busy = status_ == status_too_many || (status_ >= status_server_error && retry_after_);
  Step step = back_off(now, busy || status_ == status_unauthorized ? Next::watch : Next::list);
  step.token_refused = status_ == status_unauthorized;
  return step;
}

// Nobody answered; or a proxy holds back the head of the answer until there is a body, which a quiet watch has none of
// before its first bookmark, after about a minute.
Step Reflector::no_head(TimePoint now, const Ended& event, Next next) {
  if (now - asked_at_ >= late_head) patience_ = std::min(patience_ * 2, most_patience);
  return gone(event.failure.value_or("no answer"), next);
}

Step Reflector::relist_expired(TimePoint now) {
  ++expired_;
  // A server that calls each version expired, even that of its own list, is not asked without a pause.
  if (++expired_in_a_row_ > 1) return back_off(now, Next::list);
  return go_on(now, Next::list);
}

}  // namespace vipkeeper::kube
