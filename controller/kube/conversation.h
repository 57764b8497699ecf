#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/objects/source.h"
#include "engine/base/clock.h"

// The vocabulary between what is to be asked of an API server (pure: reflector.h, one_object.h) and the edge that asks.
namespace vipkeeper::kube {

struct Request {
  std::string target;     // path and query, encoded
  bool watch = false;     // may stay silent for minutes, on a connection of its own
  unsigned patience = 1;  // how many times the usual to wait for the head of the answer
  std::string method = "GET";
  std::string accept = "application/json";
  std::string body{};
  std::string content_type{};  // of the body
};

// What happened to the request under way, in this order: at most one Responded, any number of Received, one Ended.
struct Responded {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after;
};
struct Received {
  std::string_view bytes;
};
struct Ended {
  std::optional<std::string> failure;  // of the transport; nullopt: the whole body has come
};
// What was waited for has come.
struct WaitOver {};
struct ServerAnswers {};

using Event = std::variant<Responded, Received, Ended, WaitOver, ServerAnswers>;

// What the edge is to do. A wait beside a request is a limit of its own: WaitOver comes while the request goes on.
// server_gone stands alone.
struct Step {
  std::vector<objects::ObjectChange> changes;
  std::optional<Request> request;
  std::optional<Duration> wait;            // then WaitOver
  std::optional<std::string> server_gone;  // nothing answers, and why; probe, then ServerAnswers
  bool abort = false;          // the request under way: nothing more of it is wanted (comes before `request`)
  bool token_refused = false;  // read the credentials again
};

using Counters = std::map<std::string, std::uint64_t>;

// Something that is asked of the API server until it is known. One request is under way at a time, at most.
class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual Step start(TimePoint now) = 0;
  virtual Step handle(TimePoint now, const Event& event) = 0;
  // Has been listed once; stays true.
  [[nodiscard]] virtual bool synced() const = 0;
  [[nodiscard]] virtual std::vector<objects::SourceProblem> problems() const = 0;
  // Counts up whenever problems() may have changed.
  [[nodiscard]] virtual std::uint64_t problem_generation() const = 0;
  // Adds its own: "lists.services", "events.services", "errors.services", ... From any thread.
  virtual void count(Counters& counters) const = 0;
};

}  // namespace vipkeeper::kube
