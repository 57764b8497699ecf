#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/kube/access.h"
#include "controller/kube/conversation.h"
#include "engine/base/clock.h"
#include "engine/base/result.h"

namespace vipkeeper::kube {

// What came of one request.
struct Answer {
  int status = 0;      // 0: nobody answered
  std::string text{};  // the body, or why there is none
  std::optional<std::chrono::seconds> retry_after{};
};

// Single requests, above all writes, to the API server: see the head of api_server_writer.cpp. initialize() (loop.h)
// must have been called.
class ApiServerWriter {
 public:
  using Listener = std::function<void(Answer)>;

  // Reads the kubeconfig or the service account, as ApiServerSource does.
  static Result<std::unique_ptr<ApiServerWriter>> create(const AccessOptions& options,
                                                         Duration answer_within = std::chrono::seconds(30));
  ~ApiServerWriter();
  ApiServerWriter(const ApiServerWriter&) = delete;
  ApiServerWriter& operator=(const ApiServerWriter&) = delete;

  // Any thread, but not beside stop(); returns at once. The listener is called once, on the pool thread; not at all
  // after stop().
  void send(Request request, Listener listener);
  // Returns within a fifth of a second; what has not ended by then ends behind, on the pool thread. Not from within a
  // listener.
  void stop();

 private:
  class Session;
  explicit ApiServerWriter(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  std::shared_ptr<Session> session_;
};

}  // namespace vipkeeper::kube
