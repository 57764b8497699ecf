#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "controller/kube/access.h"
#include "controller/objects/source.h"
#include "engine/base/clock.h"
#include "engine/base/result.h"

namespace vipkeeper::kube {

struct ApiServerOptions {
  AccessOptions access;
  std::string watch_namespace;  // --watch-namespace, for Services and EndpointSlices; empty: all
  std::string config_map_namespace;
  std::string config_map_name;
  std::string pod_namespace;  // of the own Pod; empty: not asked for
  std::string pod_name;

  // Between two probes of a server that does not answer.
  Duration probe_least = std::chrono::milliseconds(1000);
  Duration probe_most = std::chrono::milliseconds(2000);
  // Longest wait for the head of an answer, to a list and to a watch; longest silence within a list and within a watch.
  Duration answer_within = std::chrono::seconds(30);
  Duration watch_answer_within = std::chrono::seconds(15);
  Duration silence = std::chrono::seconds(30);
  Duration watch_silence = std::chrono::seconds(150);
};

// What an operator may ask about the connection.
struct ApiServerState {
  std::string server;  // "https://10.96.0.1:443"
  bool connected = false;
  bool synced = false;
  std::string last_error;  // of the transport; stays after recovery
  // "lists.services", "watches.services", "events.services", "errors.services", "outages", "probes", ...
  std::map<std::string, std::uint64_t> counters;
};

// The one ConfigMap, Services, EndpointSlices, Nodes and the own Pod, from an API server: see the head of
// api_server_source.cpp. initialize() (loop.h) must have been called.
class ApiServerSource final : public objects::ObjectSource {
 public:
  // Reads the kubeconfig or the service account. The Error says what is missing or wrong in which file.
  static Result<std::unique_ptr<ApiServerSource>> create(ApiServerOptions options);
  ~ApiServerSource() override;
  ApiServerSource(const ApiServerSource&) = delete;
  ApiServerSource& operator=(const ApiServerSource&) = delete;

  void start(Sink sink) override;
  // Returns within a second whatever the server and the resolver do. Not from within the sink.
  void stop() override;

  // From any thread.
  [[nodiscard]] ApiServerState state() const;

 private:
  class Session;
  ApiServerSource(ApiServerOptions options, ClusterAccess access);

  ApiServerOptions options_;
  ClusterAccess access_;
  [[nodiscard]] std::shared_ptr<Session> session() const;

  mutable std::mutex mutex_;
  std::shared_ptr<Session> session_;
};

}  // namespace vipkeeper::kube
