#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/controller/kube/scripted_server.h"

namespace vipkeeper::test {

// A small API server over ScriptedServer: ConfigMaps, Services, EndpointSlices, Nodes and one Pod, with one
// resourceVersion for all. A test changes objects, and may put a script in the way of the next requests.
class FakeApi {
 public:
  using Script = ScriptedServer::Handler;

  // `object`: JSON without resourceVersion, which put() adds; told to the watches of `resource` ("services").
  void put(const std::string& resource, const std::string& name, const std::string& object);
  void remove(const std::string& resource, const std::string& name);
  // The same, and no watch hears of it: what happened while nobody looked.
  void put_silently(const std::string& resource, const std::string& name, const std::string& object);
  void remove_silently(const std::string& resource, const std::string& name);

  // What becomes of a list that is asked for as a stream (WatchList). Servers before 1.34 refuse it, and one on an etcd
  // before 3.4.25 fails within the stream.
  enum class Streams { refused, failing, served };
  void set_streams(Streams streams);

  // The next request of that kind ("list services", "stream services", "watch services", "get pods", "probe") is
  // answered by the script.
  void next(const std::string& kind, Script script);
  // Every request, until it is set to null.
  void always(Script script);
  // Watches from an older version get 410, as an ERROR event.
  void forget_history();

  // Answers on the connection; give it to a ScriptedServer.
  void handle(ScriptedServer::Connection& connection, const HttpRequest& request);
  // The same without the script of always().
  void answer(ScriptedServer::Connection& connection, const HttpRequest& request);
  ScriptedServer::Handler handler() {
    return [this](ScriptedServer::Connection& connection, const HttpRequest& request) { handle(connection, request); };
  }

  // Ends the waiting of watches; call before the server stops.
  void shut();
  void reopen();
  [[nodiscard]] int watches(const std::string& resource) const;

  static std::string kind_of(const HttpRequest& request);

 private:
  struct Change {
    int version;
    std::string resource;
    std::string line;
  };
  void list(ScriptedServer::Connection& connection, const std::string& resource);
  void stream(ScriptedServer::Connection& connection, const std::string& resource);
  void watch(ScriptedServer::Connection& connection, const std::string& resource, int from);
  void tell_changes(ScriptedServer::Connection& connection, const std::string& resource, int from,
                    std::unique_lock<std::mutex>& lock);
  std::string stamped(const std::string& object, int version) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int version_ = 100;
  int oldest_ = 0;
  Streams streams_ = Streams::refused;
  bool shut_ = false;
  std::map<std::string, std::map<std::string, std::string>> objects_;
  std::vector<Change> history_;
  std::map<std::string, std::deque<Script>> scripts_;
  Script always_;
  std::map<std::string, int> watches_;
};

}  // namespace vipkeeper::test
