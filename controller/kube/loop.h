#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/result.h"

// cpprestsdk's one pool thread, on which everything of this folder runs: requests, timers, readers, the sink.
namespace vipkeeper::kube {

// Makes the library safe to use. main() calls it before anything else of OpenSSL or cpprestsdk, after it has blocked
// the signals it handles itself, and only if an API server is used; further calls do nothing. It
// - initialises OpenSSL first, so that OpenSSL's clean-up at exit comes after cpprestsdk has joined its pool (the other
//   way round a pool thread can spin for ever);
// - gives the pool one thread: cancelling from another thread is a data race inside the library, and one is fastest;
// - points SSL_CERT_FILE and SSL_CERT_DIR nowhere, because the library parses the system's certificates for each
//   connection (22 ms) and would trust them. Child processes should not inherit these two variables.
void initialize();

// main()'s last call where an API server was used; gives back `code`. If something is still under way on the pool
// thread, though it was stopped or because nobody did, the process ends here and now: the library's own clean-up would
// wait for the pool thread, however long it is busy, and lose track of what is queued.
int leave(int code);
// Something that is under way until its last copy is gone; for transport.cpp.
std::shared_ptr<void> under_way();

// Runs `task` on the pool thread, later. From any thread that ends before main() does.
void post(std::function<void()> task);

// The addresses of a host by its name (getaddrinfo), or why there are none; `found` runs on the pool thread. The
// look-up can neither be cancelled nor given a limit, so it has a thread of its own that nobody waits for, also not at
// the end of the process.
void look_up(const std::string& host, std::function<void(Result<std::vector<std::string>>)> found);

// A one-shot timer of the pool thread; used on that thread only. Going out of scope stops it.
class Timer {
 public:
  Timer();
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;
  // Calls `task` after `delay`, unless stopped or started anew before.
  void start(Duration delay, std::function<void()> task);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vipkeeper::kube
