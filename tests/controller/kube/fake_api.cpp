#include "tests/controller/kube/fake_api.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace vipkeeper::test {

using nlohmann::json;

std::string FakeApi::stamped(const std::string& object, int version) const {
  json value = json::parse(object);
  value["metadata"]["resourceVersion"] = std::to_string(version);
  return value.dump();
}

void FakeApi::put(const std::string& resource, const std::string& name, const std::string& object) {
  const std::lock_guard lock(mutex_);
  std::string& held = objects_[resource][name];
  const char* type = held.empty() ? "ADDED" : "MODIFIED";
  held = stamped(object, ++version_);
  history_.push_back({version_, resource, fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, held)});
  changed_.notify_all();
}

void FakeApi::remove(const std::string& resource, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const std::string last = stamped(objects_[resource][name], ++version_);
  objects_[resource].erase(name);
  history_.push_back({version_, resource, fmt::format("{{\"type\":\"DELETED\",\"object\":{}}}\n", last)});
  changed_.notify_all();
}

void FakeApi::put_silently(const std::string& resource, const std::string& name, const std::string& object) {
  const std::lock_guard lock(mutex_);
  objects_[resource][name] = stamped(object, ++version_);
}

void FakeApi::remove_silently(const std::string& resource, const std::string& name) {
  const std::lock_guard lock(mutex_);
  ++version_;
  objects_[resource].erase(name);
}

void FakeApi::next(const std::string& kind, Script script) {
  const std::lock_guard lock(mutex_);
  scripts_[kind].push_back(std::move(script));
}

void FakeApi::always(Script script) {
  const std::lock_guard lock(mutex_);
  always_ = std::move(script);
}

void FakeApi::set_streams(Streams streams) {
  const std::lock_guard lock(mutex_);
  streams_ = streams;
}

void FakeApi::forget_history() {
  const std::lock_guard lock(mutex_);
  history_.clear();
  oldest_ = version_;
}

void FakeApi::shut() {
  const std::lock_guard lock(mutex_);
  shut_ = true;
  changed_.notify_all();
}

void FakeApi::reopen() {
  const std::lock_guard lock(mutex_);
  shut_ = false;
}

int FakeApi::watches(const std::string& resource) const {
  const std::lock_guard lock(mutex_);
  const auto found = watches_.find(resource);
  return found == watches_.end() ? 0 : found->second;
}

std::string FakeApi::kind_of(const HttpRequest& request) {
  const std::string path = request.path();
  if (path == "/readyz") return "probe";
  if (path.find("/pods/") != std::string::npos) return "get pods";
  const std::string resource = path.substr(path.rfind('/') + 1);
  if (request.parameter("sendInitialEvents") == "true") return "stream " + resource;
  return (request.parameter("watch") == "1" ? "watch " : "list ") + resource;
}

void FakeApi::handle(ScriptedServer::Connection& connection, const HttpRequest& request) {
  Script script;
  {
    const std::lock_guard lock(mutex_);
    script = always_;
  }
  if (script) {
    script(connection, request);
  } else {
    answer(connection, request);
  }
}

void FakeApi::answer(ScriptedServer::Connection& connection, const HttpRequest& request) {
  const std::string kind = kind_of(request);
  Script script;
  {
    const std::lock_guard lock(mutex_);
    auto& waiting = scripts_[kind];
    if (!waiting.empty()) {
      script = std::move(waiting.front());
      waiting.pop_front();
    }
  }
  if (script) {
    script(connection, request);
  } else if (kind == "probe") {
    connection.answer(200, "ok");
  } else if (kind == "get pods") {
    const std::lock_guard lock(mutex_);
    const auto& pods = objects_["pods"];
    connection.answer(pods.empty() ? 404 : 200, pods.empty() ? "{}" : pods.begin()->second);
  } else if (kind.starts_with("stream ")) {
    stream(connection, kind.substr(7));
  } else if (kind.starts_with("watch ")) {
    watch(connection, kind.substr(6), std::stoi(request.parameter("resourceVersion")));
  } else {
    list(connection, kind.substr(5));
  }
}

void FakeApi::list(ScriptedServer::Connection& connection, const std::string& resource) {
  const std::lock_guard lock(mutex_);
  std::string items;
  for (const auto& [name, object] : objects_[resource]) items += (items.empty() ? "" : ",") + object;
  connection.answer(
      200, fmt::format(R"({{"kind":"List","metadata":{{"resourceVersion":"{}"}},"items":[{}]}})", version_, items));
}

void FakeApi::watch(ScriptedServer::Connection& connection, const std::string& resource, int from) {
  std::unique_lock lock(mutex_);
  connection.begin();
  if (from < oldest_) {
    connection.chunk(
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too "
        "old\"}}\n");
    connection.end();
    return;
  }
  tell_changes(connection, resource, from, lock);
}

void FakeApi::stream(ScriptedServer::Connection& connection, const std::string& resource) {
  std::unique_lock lock(mutex_);
  if (streams_ == Streams::refused) {
    connection.answer(
        422, R"({"kind":"Status","status":"Failure","reason":"Invalid","code":422,"message":"sendInitialEvents: )"
             R"(Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is on"})");
    return;
  }
  connection.begin();
  if (streams_ == Streams::failing) {
    connection.chunk(
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500,\"reason\":\"InternalError\",\"message\":"
        "\"etcd does "
        "not report progress\"}}\n");
    connection.end();
    return;
  }
  for (const auto& [name, object] : objects_[resource]) {
    connection.chunk(fmt::format("{{\"type\":\"ADDED\",\"object\":{}}}\n", object));
  }
  connection.chunk(fmt::format(
      R"({{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"{}","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}}})"
      "\n",
      version_));
  tell_changes(connection, resource, version_, lock);
}

void FakeApi::tell_changes(ScriptedServer::Connection& connection, const std::string& resource, int from,
                           std::unique_lock<std::mutex>& lock) {
  ++watches_[resource];
  while (!shut_ && !connection.is_gone(std::chrono::milliseconds(0))) {
    std::string lines;
    for (const Change& change : history_) {
      if (change.version > from && change.resource == resource) lines += change.line;
    }
    from = version_;
    if (!lines.empty()) connection.chunk(lines);
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  --watches_[resource];
  connection.close();
}

}  // namespace vipkeeper::test
