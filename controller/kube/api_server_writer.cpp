// Writes to the API server: Events, the status of Services, and the look-ups that they need.
//
// Everything happens on cpprestsdk's pool thread, as for ApiServerSource, and with a transport of its own, so that no
// list or watch waits behind a write or shares its fate. It decides nothing: what to send, when, and what an answer
// means is its user's (controller/report). A write goes out twice where a kept connection turns out to have died
// (transport.h), so it must be one that may: an Event has its name from here, a PATCH says the whole of what it sets.
//
// Bounds: sixteen requests under way, a body of 1 MiB; beyond them a request has failed.

#include "controller/kube/api_server_writer.h"

#include <future>
#include <map>
#include <mutex>
#include <utility>

#include "controller/kube/loop.h"
#include "controller/kube/transport.h"

namespace vipkeeper::kube {

namespace {

constexpr std::size_t most_under_way = 16;
constexpr std::size_t longest_body = 1024 * 1024;
constexpr std::chrono::milliseconds stop_within{200};

}  // namespace

// On the pool thread, but for its making and silence().
class ApiServerWriter::Session : public std::enable_shared_from_this<ApiServerWriter::Session> {
 public:
  Session(ClusterAccess access, Duration answer_within)
      : transport_(std::move(access), {.answer_within = answer_within, .silence = answer_within}) {}

  void send(const Request& request, Listener listener) {
    if (closed_) return;
    if (calls_.size() >= most_under_way) {
      tell(listener, {.text = "too many requests are under way"});
      return;
    }
    const std::uint64_t number = ++last_;
    Call& call = calls_[number];
    call.listener = std::move(listener);
    const auto hear = [weak = weak_from_this(), number](const Event& event) {
      if (const auto self = weak.lock()) self->handle(number, event);
    };
    call.exchange = request.method == "GET" ? transport_.get(request, hear) : transport_.write(request, hear);
  }

  // After the session: what was under way has ended.
  [[nodiscard]] std::shared_future<void> gone() const { return transport_.gone(); }
  // From any thread: no call of a listener after it.
  void silence() {
    const std::lock_guard lock(mutex_);
    silent_ = true;
  }

  void close() {
    closed_ = true;
    for (auto& [number, call] : std::exchange(calls_, {})) {
      if (call.exchange) call.exchange->cancel();
    }
  }

 private:
  struct Call {
    std::shared_ptr<Exchange> exchange;
    Listener listener;
    Answer answer;
  };

  void handle(std::uint64_t number, const Event& event) {
    const auto found = calls_.find(number);
    if (found == calls_.end()) return;
    Call& call = found->second;
    if (const auto* responded = std::get_if<Responded>(&event)) {
      call.answer.status = responded->status;
      call.answer.retry_after = responded->retry_after;
    } else if (const auto* received = std::get_if<Received>(&event)) {
      call.answer.text += received->bytes;
      if (call.answer.text.size() <= longest_body) return;
      call.exchange->cancel();
      end(found, "the answer is longer than 1 MiB");
    } else if (const auto* ended = std::get_if<Ended>(&event)) {
      end(found, ended->failure);
    }
  }

  void end(std::map<std::uint64_t, Call>::iterator found, const std::optional<std::string>& failure) {
    Call call = std::move(found->second);
    calls_.erase(found);
    if (failure) {
      // The connection is of no use, and neither may be the address.
      if (call.answer.status == 0) transport_.reset();
      call.answer = {.text = *failure};
    }
    if (call.answer.status == 401) transport_.refuse_token();
    tell(call.listener, std::move(call.answer));
  }

  void tell(const Listener& listener, Answer answer) {
    const std::lock_guard lock(mutex_);
    if (!silent_) listener(std::move(answer));
  }

  Transport transport_;
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t last_ = 0;
  bool closed_ = false;

  std::mutex mutex_;  // guards silent_, and is held while a listener is called
  bool silent_ = false;
};

Result<std::unique_ptr<ApiServerWriter>> ApiServerWriter::create(const AccessOptions& options, Duration answer_within) {
  auto access = cluster_access(options);
  if (!access) return std::unexpected(access.error());
  return std::unique_ptr<ApiServerWriter>(
      new ApiServerWriter(std::make_shared<Session>(std::move(*access), answer_within)));
}

ApiServerWriter::~ApiServerWriter() { stop(); }

void ApiServerWriter::send(Request request, Listener listener) {
  if (!session_) return;
  post([session = session_, request = std::move(request), listener = std::move(listener)]() mutable {
    session->send(request, std::move(listener));
  });
}

void ApiServerWriter::stop() {
  if (!session_) return;
  session_->silence();
  const auto gone = session_->gone();
  // The session ends on the pool thread, where its timers and clients belong.
  post([held = std::make_shared<std::shared_ptr<Session>>(std::exchange(session_, nullptr))] {
    (*held)->close();
    held->reset();
  });
  gone.wait_for(stop_within);
}

}  // namespace vipkeeper::kube
