// List and watch of one resource, as client-go's reflector does it (tools/cache/reflector.go, client-go 0.36), as a
// pure function of what the server sends and of time. The list in pages and what both halves share are in this file,
// the stream and the watch in reflector_watch.cpp.
//
//   list, in pages with resourceVersion=0 (any age, from the server's cache), or streamed: a watch that sends what
//   there is, then a bookmark that says "that was all" (WatchList). A server that does not do that gets the list in
//   pages: it refuses (Invalid), or says InternalError in the stream (etcd before 3.4.25), or takes no notice and sends
//   no such bookmark.
//     -> replace: tell what differs from what is known, and what is known and not in the list any more
//     -> watch from the list's resourceVersion; every event and bookmark moves it. A stream is that watch already.
//          ended after a while or an event -> watch again from the last resourceVersion, at once; no list
//          ended at once, with nothing     -> back off, list
//          410, in HTTP or as an ERROR event (servers send it with status 200) -> list at least as new as the last one
//          nobody answers                  -> wait until the server answers, then watch again
//          429, or 5xx with a Retry-After  -> back off, watch again
//          anything else                   -> back off, list
//
// Invariants.
// - A deletion is told only for a DELETED event, for an object that a complete list does not have, and for an object
//   that came back with another uid while we were not looking. No failure of any kind tells one.
// - A list counts when its last page, or the bookmark at its end, has come; until then its items wait aside. What is no
//   list of this kind (a proxy's greeting, say) is an error, and not an empty list.
// - resourceVersions are opaque: stored, sent back, compared for equality.
// - Not more than four requests follow each other without a pause, whatever the server answers.
// - An object that cannot be read keeps the form that was told last; it is a problem until it can, or is gone.
//
// Memory: a key and two hashes an object; lists and events are read item by item, and only what the plan reads is kept.

#include "controller/kube/reflector.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/json_member.h"

namespace vipkeeper::kube {

using nlohmann::json;

namespace {

constexpr int page_size = 500;
constexpr std::size_t longest_error_body = 64 * 1024;
// client-go warns after as long without the bookmark at a list's end.
constexpr Duration longest_quiet_stream = std::chrono::seconds(10);

}  // namespace

Reflector::Reflector(Resource resource, std::uint32_t seed)
    : resource_(std::move(resource)), random_(seed), backoff_(random_), known_(resource_.kind) {}

Step Reflector::start(TimePoint now) { return go_on(now, Next::list); }

Step Reflector::handle(TimePoint now, const Event& event) {
  if (const auto* responded = std::get_if<Responded>(&event)) return on_responded(now, *responded);
  if (const auto* received = std::get_if<Received>(&event)) return on_received(now, received->bytes);
  if (const auto* ended = std::get_if<Ended>(&event)) return on_ended(now, *ended);
  if (std::holds_alternative<WaitOver>(event)) return on_wait_over(now);
  if (phase_ != Phase::waiting) return {};
  backoff_.reset();
  return go_on(now, next_);
}

Step Reflector::go_on(TimePoint now, Next next) {
  if (next == Next::watch) return watch(now);
  if (next == Next::list && resource_.streamed) return stream(now, last_version_);
  return list(last_version_.empty() ? "0" : last_version_);
}

Step Reflector::on_responded(TimePoint now, const Responded& event) {
  status_ = event.status;
  retry_after_ = event.retry_after;
  if (now - asked_at_ < late_head) patience_ = 1;
  if (status_ != status_ok) return {};
  watch_started_ = now;
  if (phase_ == Phase::watching) set_problem({});
  return {};
}

Step Reflector::on_received(TimePoint now, std::string_view bytes) {
  if (malformed_) return {};
  if (status_ != status_ok) {
    error_body_.append(bytes.substr(0, longest_error_body - std::min(longest_error_body, error_body_.size())));
  } else if (phase_ == Phase::listing) {
    malformed_ = !splitter_.feed(bytes, [this](std::string_view item) { take_list_item(item); });
  } else if (phase_ == Phase::watching || phase_ == Phase::streaming) {
    quiet_ = false;
    return watch_bytes(now, bytes);
  }
  return {};
}

Step Reflector::on_ended(TimePoint now, const Ended& event) {
  if (phase_ == Phase::listing) return list_ended(now, event);
  if (phase_ == Phase::streaming) return stream_ended(now, event);
  if (phase_ == Phase::watching) return watch_ended(now, event);
  return {};
}

Step Reflector::on_wait_over(TimePoint now) {
  if (phase_ == Phase::waiting) return go_on(now, next_);
  if (phase_ != Phase::streaming) return {};
  Step step;
  if (std::exchange(quiet_, true)) {
    step = go_on(now, Next::pages);
    step.abort = true;
  } else {
    step.wait = longest_quiet_stream;
  }
  return step;
}

// --- list

Step Reflector::list(std::string resource_version) {
  list_version_ = std::move(resource_version);
  continue_.clear();
  page_version_.clear();
  unlimited_ = false;
  items_.clear();
  ++lists_;
  return list_page();
}

Step Reflector::list_page() {
  phase_ = Phase::listing;
  begin_answer();
  std::string query = resource_.selector;
  const auto add = [&query](std::string_view parameter) {
    if (!query.empty()) query += '&';
    query += parameter;
  };
  // A limit takes a server with a watch cache past it, to etcd; with version 0 such a server ignores the limit.
  const bool from_cache = !list_version_.empty() && list_version_ != "0";
  if (!unlimited_ && (paged_ || !from_cache || !continue_.empty())) add(fmt::format("limit={}", page_size));
  if (!continue_.empty()) {
    add("continue=" + percent_encode(continue_));
  } else if (!list_version_.empty()) {
    add("resourceVersion=" + percent_encode(list_version_));
  }
  Step step;
  step.request = Request{resource_.path + (query.empty() ? "" : "?") + query, false};
  return step;
}

Step Reflector::list_ended(TimePoint now, const Ended& event) {
  if (event.failure) return gone(*event.failure, Next::list);
  return status_ == status_ok ? list_page_ended(now) : list_refused(now);
}

Step Reflector::list_page_ended(TimePoint now) {
  const json envelope = json::parse(splitter_.envelope(), nullptr, false);
  const bool whole = !malformed_ && splitter_.complete() && envelope.is_object() && envelope.contains("items");
  const std::string kind = whole ? text_member(envelope, "kind") : std::string();
  const json& metadata = whole ? member(envelope, "metadata") : envelope;
  const std::string version = whole ? text_member(metadata, "resourceVersion") : std::string();
  if ((kind != "List" && kind != std::string(objects::to_string(resource_.kind)) + "List") || version.empty() ||
      version == "0") {
    ++errors_;
    set_problem(fmt::format("list {}: the answer is no list", resource_.name));
    return back_off(now, Next::pages);
  }
  if (page_version_.empty()) page_version_ = version;
  continue_ = text_member(metadata, "continue");
  if (!continue_.empty()) {
    paged_ = paged_ || list_version_ == "0";
    return list_page();
  }
  Step step;
  replace(page_version_, step);
  step.request = watch(now).request;
  return step;
}

Step Reflector::list_refused(TimePoint now) {
  const StatusAnswer answer = parse_status(error_body_);
  const bool expired = status_ == status_gone || is_expired(answer);
  if (expired && !continue_.empty()) {
    // Between two pages the server forgot the state they are of: all in one answer, then.
    ++expired_;
    continue_.clear();
    page_version_.clear();
    items_.clear();
    unlimited_ = true;
    return list_page();
  }
  const bool too_large = status_ == status_timeout && answer.resource_version_too_large;
  if ((expired || too_large) && !list_version_.empty()) {
    ++expired_;
    return list("");
  }
  ++errors_;
  const std::string description = describe_status(status_, error_body_);
  std::string problem = fmt::format("list {}: {}", resource_.name, description);
  if (status_ == status_forbidden) problem += ": give the ServiceAccount get, list and watch of it (rbac/)";
  if (status_ == status_unauthorized) problem += ": the credentials are not accepted";
  set_problem(std::move(problem));
  if (status_ == status_forbidden || status_ == status_not_found) refusal_ = description;
  Step step = back_off(now, Next::pages);
  step.token_refused = status_ == status_unauthorized;
  return step;
}

void Reflector::take_list_item(std::string_view text) {
  const auto object = reader_.read(resource_.kind, text);
  auto item = object ? known_.read(*object) : std::nullopt;
  if (!item) {
    ++skipped_;
    return;
  }
  objects::ObjectKey key = item->key;
  items_.insert_or_assign(std::move(key), *std::move(item));
}

// --- all

void Reflector::begin_answer() {
  status_ = 0;
  retry_after_.reset();
  error_body_.clear();
  splitter_.clear();
  lines_.clear();
  malformed_ = false;
}

void Reflector::replace(std::string version, Step& step) {
  known_.replace(std::exchange(items_, {}), step.changes);
  last_version_ = std::move(version);
  objects_.set(known_.size());
  synced_ = true;
  cut_streams_ = 0;
  refusal_.clear();
  set_problem({});
}

Step Reflector::back_off(TimePoint now, Next next) {
  phase_ = Phase::waiting;
  next_ = next;
  items_.clear();
  Step step;
  step.wait = backoff_.next(now, std::exchange(retry_after_, std::nullopt));
  return step;
}

Step Reflector::gone(std::string reason, Next next) {
  phase_ = Phase::waiting;
  next_ = next;
  items_.clear();
  ++errors_;
  Step step;
  step.server_gone = std::move(reason);
  return step;
}

std::vector<objects::ObjectChange> Reflector::forget() {
  phase_ = Phase::idle;
  items_.clear();
  last_version_.clear();
  synced_ = false;
  refusal_.clear();
  set_problem({});
  std::vector<objects::ObjectChange> changes;
  known_.replace({}, changes);
  objects_.set(0);
  return changes;
}

void Reflector::set_problem(std::string problem) {
  if (problem == problem_) return;
  problem_ = std::move(problem);
  ++problem_generation_;
}

std::vector<objects::SourceProblem> Reflector::problems() const {
  std::vector<objects::SourceProblem> all;
  if (!problem_.empty()) all.push_back({true, "API server", problem_});
  known_.add_problems(all);
  return all;
}

void Reflector::count(Counters& counters) const {
  const auto add = [&](std::string_view what, const Tally& tally) {
    counters[fmt::format("{}.{}", what, resource_.name)] = tally.get();
  };
  add("lists", lists_);
  add("streams", streams_);
  add("watches", watches_);
  add("events", events_);
  add("bookmarks", bookmarks_);
  add("errors", errors_);
  add("expired", expired_);
  add("skipped", skipped_);
  add("objects", objects_);
}

}  // namespace vipkeeper::kube
