#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "controller/kube/access.h"
#include "controller/kube/conversation.h"
#include "engine/base/clock.h"
#include "engine/base/result.h"

namespace vipkeeper::kube {

struct TransportOptions {
  // Without the head of an answer after this time the request has failed.
  Duration answer_within = std::chrono::seconds(30);
  Duration watch_answer_within = std::chrono::seconds(15);
  // Silence within a body. Bookmarks come once a minute, so a watch this silent has a frozen peer.
  Duration silence = std::chrono::seconds(30);
  Duration watch_silence = std::chrono::seconds(150);
};

// A request under way.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Ends it; no event comes of it any more.
  virtual void cancel() = 0;
};

// Requests to one API server, by way of cpprestsdk: see the head of transport.cpp. Everything happens on the pool
// thread.
class Transport {
 public:
  // Gets Responded, Received and Ended in that order; Ended always comes, and last.
  using Listener = std::function<void(const Event&)>;

  Transport(ClusterAccess access, TransportOptions options);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  std::shared_ptr<Exchange> get(const Request& request, Listener listener);
  // The same for a POST or PATCH. It must be one that may be done again: a connection that was kept from earlier may
  // have died unseen, and then it is sent once more, on a new one.
  std::shared_ptr<Exchange> write(const Request& request, Listener listener);
  // On a new connection: is anybody there?
  std::shared_ptr<Exchange> probe(const std::string& target, Duration within, Listener listener);

  // Ready when all of it is gone from the pool thread, which is some time after the transport itself: a request that
  // was cancelled ends later. To be taken before, and waited for on another thread.
  [[nodiscard]] std::shared_future<void> gone() const { return gone_; }

  // Forgets idle connections, and the address of a server that is known by name.
  void reset();
  // Reads the token's file again before the next request.
  void refuse_token();

 private:
  class Clients;
  std::shared_future<void> gone_;
  std::shared_ptr<Clients> clients_;
};

}  // namespace vipkeeper::kube
