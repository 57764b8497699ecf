// List and watch of one resource, as client-go's reflector does it (tools/cache/reflector.go, client-go 0.36), as a
// pure function of what the server sends and of time.
//
//   list, resourceVersion=0 (any age, from the server's cache)
//     -> replace: tell what differs from what is known, and what is known and not in the list any more
//     -> watch from the list's resourceVersion; every event and bookmark moves it
//          ended after a while         -> watch again from the last resourceVersion, at once; no list
//          ended at once, with nothing -> back off, list
//          410, in HTTP or as an ERROR event (servers send it with status 200) -> list at least as new as the last one
//          nobody answers              -> wait until the server answers, then watch again
//          429                         -> back off, watch again
//          anything else               -> back off, list
//
// Invariants.
// - A deletion is told only for a DELETED event, for an object that a complete list does not have, and for an object
// that came
//   back with another uid while we were not looking. No failure of any kind tells one.
// - A list counts when its last page has come whole; until then its items wait aside.
// - resourceVersions are opaque: stored, sent back, compared for equality.
// - Not more than two lists without a pause between them, whatever the server answers.
// - An object that cannot be read keeps the form that was told last; it is a problem until it can, or is gone.
//
// Memory: a key and two hashes an object; a list is read item by item.

#include "controller/kube/reflector.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/status.h"
#include "controller/objects/json.h"

namespace vipkeeper::kube {

using nlohmann::json;
using objects::ObjectChange;
using objects::ObjectKey;

namespace {

constexpr int page_size = 500;
constexpr Duration very_short_watch = std::chrono::seconds(1);
constexpr std::size_t longest_error_body = 64 * 1024;

constexpr int status_ok = 200;
constexpr int status_unauthorized = 401;
constexpr int status_forbidden = 403;
constexpr int status_gone = 410;
constexpr int status_too_many = 429;
constexpr int status_timeout = 504;

std::string text_member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const json& member(const json& object, const char* name) {
  static const json absent = json::object();
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : absent;
}

bool is_expired(const StatusAnswer& answer) {
  // "Gone" is what servers up to 1.17 said.
  return answer.code == status_gone || answer.reason == "Expired" || answer.reason == "Gone";
}

}  // namespace

Reflector::Reflector(Resource resource, std::uint32_t seed)
    : resource_(std::move(resource)), random_(seed), backoff_(random_) {}

Step Reflector::start(TimePoint) { return list("0"); }

Step Reflector::handle(TimePoint now, const Event& event) {
  if (const auto* responded = std::get_if<Responded>(&event)) return on_responded(now, *responded);
  if (const auto* received = std::get_if<Received>(&event)) return on_received(now, received->bytes);
  if (const auto* ended = std::get_if<Ended>(&event)) return on_ended(now, *ended);
  if (phase_ != Phase::waiting) return {};
  if (std::holds_alternative<ServerAnswers>(event)) backoff_.reset();
  if (next_ == Next::watch) return watch();
  return list(last_version_.empty() ? "0" : last_version_);
}

Step Reflector::on_responded(TimePoint now, const Responded& event) {
  status_ = event.status;
  retry_after_ = event.retry_after;
  if (phase_ == Phase::watching && status_ == status_ok) {
    watch_started_ = now;
    set_problem({});
  }
  return {};
}

Step Reflector::on_received(TimePoint now, std::string_view bytes) {
  Step step;
  if (malformed_) return step;
  if (status_ != status_ok) {
    error_body_.append(bytes.substr(0, longest_error_body - std::min(longest_error_body, error_body_.size())));
  } else if (phase_ == Phase::listing) {
    malformed_ = !splitter_.feed(bytes, [this](std::string_view item) { take_list_item(item); });
  } else if (phase_ == Phase::watching) {
    const bool sane = lines_.feed(bytes, [&](std::string_view line) {
      watch_line(now, line, step);
      return !step.abort;
    });
    if (!sane) {
      ++errors_;
      set_problem(fmt::format("watch {}: a line of more than {} bytes", resource_.name, LineSplitter::longest));
      Step aborted = back_off(now, Next::list);
      aborted.changes = std::move(step.changes);
      aborted.abort = true;
      return aborted;
    }
  }
  return step;
}

Step Reflector::on_ended(TimePoint now, const Ended& event) {
  if (phase_ == Phase::listing) return list_ended(now, event);
  if (phase_ == Phase::watching) return watch_ended(now, event);
  return {};
}

// --- list

Step Reflector::list(std::string resource_version) {
  list_version_ = std::move(resource_version);
  continue_.clear();
  unlimited_ = false;
  items_.clear();
  ++lists_;
  return list_page();
}

Step Reflector::list_page() {
  phase_ = Phase::listing;
  status_ = 0;
  error_body_.clear();
  splitter_.clear();
  malformed_ = false;
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
  if (status_ != status_ok) return list_refused(now);
  const json envelope = json::parse(splitter_.envelope(), nullptr, false);
  if (malformed_ || !splitter_.complete() || !envelope.is_object()) {
    ++errors_;
    set_problem(fmt::format("list {}: the answer is no list", resource_.name));
    return back_off(now, Next::list);
  }
  const json& metadata = member(envelope, "metadata");
  continue_ = text_member(metadata, "continue");
  if (!continue_.empty()) {
    paged_ = paged_ || list_version_ == "0";
    return list_page();
  }
  last_version_ = text_member(metadata, "resourceVersion");
  return replace();
}

Step Reflector::list_refused(TimePoint now) {
  const StatusAnswer answer = parse_status(error_body_);
  const bool expired = status_ == status_gone || is_expired(answer);
  if (expired && !continue_.empty()) {
    // Between two pages the server forgot the state they are of: all in one answer, then.
    ++expired_;
    continue_.clear();
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
  std::string problem = fmt::format("list {}: {}", resource_.name, describe_status(status_, error_body_));
  if (status_ == status_forbidden) problem += ": give the ServiceAccount get, list and watch of it (rbac/)";
  if (status_ == status_unauthorized) problem += ": the credentials are not accepted";
  set_problem(std::move(problem));
  Step step = back_off(now, Next::list);
  step.token_refused = status_ == status_unauthorized;
  return step;
}

void Reflector::take_list_item(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  auto item = object.is_object() ? read_item(object) : std::nullopt;
  if (!item) {
    ++skipped_;
    return;
  }
  items_.push_back(*std::move(item));
}

Step Reflector::replace() {
  std::map<ObjectKey, Known> before = std::exchange(known_, {});
  Step step;
  for (Item& item : items_) {
    const auto old = before.find(item.key);
    if (old != before.end()) known_.insert(before.extract(old));
    adopt(std::move(item), step.changes);
  }
  items_ = {};
  for (const auto& [key, known] : before) {
    step.changes.push_back({key, nullptr});
    set_item_problem(key, {});
  }
  objects_.set(known_.size());
  synced_ = true;
  set_problem({});
  step.request = watch().request;
  return step;
}

// --- watch

Step Reflector::watch() {
  phase_ = Phase::watching;
  status_ = 0;
  error_body_.clear();
  lines_.clear();
  malformed_ = false;
  watch_events_ = 0;
  ++watches_;
  // client-go: a time-out of the server's own, random, so that the watches of a cluster do not all end together.
  std::uniform_int_distribution<int> seconds(300, 600);
  Step step;
  step.request = Request{fmt::format("{}?watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}{}{}",
                                     resource_.path, percent_encode(last_version_), seconds(random_),
                                     resource_.selector.empty() ? "" : "&", resource_.selector),
                         true};
  return step;
}

void Reflector::watch_line(TimePoint now, std::string_view line, Step& step) {
  const json event = json::parse(line, nullptr, false);
  const std::string type = event.is_object() ? text_member(event, "type") : std::string();
  if (type.empty()) {
    ++errors_;
    set_problem(fmt::format("watch {}: a line that is no event", resource_.name));
    Step failed = back_off(now, Next::list);
    step.wait = failed.wait;
    step.abort = true;
    return;
  }
  const json& object = member(event, "object");
  if (type == "ERROR") {
    watch_error(now, object.dump(), step);
    return;
  }
  const std::string version = text_member(member(object, "metadata"), "resourceVersion");
  if (version.empty()) {
    ++skipped_;
    return;
  }
  ++watch_events_;
  expired_in_a_row_ = 0;
  if (type == "BOOKMARK") {
    ++bookmarks_;
    last_version_ = version;
    return;
  }
  auto item = type == "ADDED" || type == "MODIFIED" || type == "DELETED" ? read_item(object) : std::nullopt;
  last_version_ = version;
  if (!item) {
    ++skipped_;
    return;
  }
  ++events_;
  if (type != "DELETED") {
    adopt(*std::move(item), step.changes);
  } else if (known_.erase(item->key) > 0) {
    step.changes.push_back({item->key, nullptr});
    set_item_problem(item->key, {});
  }
  objects_.set(known_.size());
}

void Reflector::watch_error(TimePoint now, std::string_view status, Step& step) {
  const StatusAnswer answer = parse_status(status);
  Step next;
  if (is_expired(answer)) {
    next = relist_expired(now);
  } else {
    ++errors_;
    set_problem(fmt::format("watch {}: {}", resource_.name, answer.message.empty() ? status : answer.message));
    next = back_off(now, answer.code == status_too_many ? Next::watch : Next::list);
  }
  step.request = std::move(next.request);
  step.wait = next.wait;
  step.abort = true;
}

Step Reflector::watch_ended(TimePoint now, const Ended& event) {
  if (status_ == 0) return gone(event.failure.value_or("no answer"), Next::watch);
  if (status_ != status_ok) return watch_refused(now);
  // A line that was cut is dropped; its event comes again.
  lines_.clear();
  const bool short_lived = now - watch_started_ < very_short_watch;
  if (!short_lived) return watch();
  ++errors_;
  return back_off(now, watch_events_ == 0 ? Next::list : Next::watch);
}

Step Reflector::watch_refused(TimePoint now) {
  const StatusAnswer answer = parse_status(error_body_);
  if (status_ == status_gone || is_expired(answer)) return relist_expired(now);
  ++errors_;
  set_problem(fmt::format("watch {}: {}", resource_.name, describe_status(status_, error_body_)));
  const bool keep_version = status_ == status_too_many || status_ == status_unauthorized;
  Step step = back_off(now, keep_version ? Next::watch : Next::list);
  step.token_refused = status_ == status_unauthorized;
  return step;
}

Step Reflector::relist_expired(TimePoint now) {
  ++expired_;
  // A server that calls each version expired, even that of its own list, is not asked without a pause.
  if (++expired_in_a_row_ > 1) return back_off(now, Next::list);
  return list(last_version_);
}

// --- both

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

std::optional<Reflector::Item> Reflector::read_item(const json& object) const {
  const std::string kind = text_member(object, "kind");
  if (!kind.empty() && kind != objects::to_string(resource_.kind)) return std::nullopt;
  const json& metadata = member(object, "metadata");
  Item item;
  item.key = {resource_.kind, text_member(metadata, "namespace"), text_member(metadata, "name")};
  if (item.key.name.empty()) return std::nullopt;
  const std::hash<std::string> hash;
  item.identity = {hash(text_member(metadata, "uid")), hash(text_member(metadata, "resourceVersion"))};
  const auto known = known_.find(item.key);
  if (known != known_.end() && known->second == item.identity) return item;
  auto parsed = objects::parse_object(resource_.kind, object);
  if (parsed) {
    item.object = std::make_shared<const objects::Object>(std::move(parsed->object));
  } else {
    item.problem = std::move(parsed.error().message);
  }
  return item;
}

void Reflector::adopt(Item item, std::vector<ObjectChange>& changes) {
  const auto known = known_.find(item.key);
  if (known != known_.end()) {
    if (known->second == item.identity) return;
    // Deleted and made anew while we were not looking.
    if (known->second.uid != item.identity.uid) changes.push_back({item.key, nullptr});
  }
  known_[item.key] = item.identity;
  set_item_problem(item.key, std::move(item.problem));
  if (item.object) changes.push_back({std::move(item.key), std::move(item.object)});
}

void Reflector::set_problem(std::string problem) {
  if (problem == problem_) return;
  problem_ = std::move(problem);
  ++problem_generation_;
}

void Reflector::set_item_problem(const ObjectKey& key, std::string problem) {
  if (problem.empty()) {
    if (item_problems_.erase(key) > 0) ++problem_generation_;
    return;
  }
  item_problems_[key] = std::move(problem);
  ++problem_generation_;
}

std::vector<objects::SourceProblem> Reflector::problems() const {
  std::vector<objects::SourceProblem> all;
  if (!problem_.empty()) all.push_back({true, "API server", problem_});
  for (const auto& [key, problem] : item_problems_) all.push_back({true, key.to_string(), problem});
  return all;
}

void Reflector::count(Counters& counters) const {
  const auto add = [&](std::string_view what, const Tally& tally) {
    counters[fmt::format("{}.{}", what, resource_.name)] = tally.get();
  };
  add("lists", lists_);
  add("watches", watches_);
  add("events", events_);
  add("bookmarks", bookmarks_);
  add("errors", errors_);
  add("expired", expired_);
  add("skipped", skipped_);
  add("objects", objects_);
}

}  // namespace vipkeeper::kube
