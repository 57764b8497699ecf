// The API server as a source of objects.
//
// Owns one conversation a resource (reflector.h, one_object.h), the transport and the gate; all of them live on
// cpprestsdk's pool thread, and so does the call of the sink: from the chunk's arrival to the sink there is no
// hand-over. Only state() and stop() come from other threads.
//
// A conversation says what it wants next (a request, a wait, or "nobody answers"); the session carries it out and
// brings back what happened. While nobody answers the conversations rest and the gate probes for all of them, so the
// load on a server that comes back is one cheap request a node every one to two seconds, and changes flow within that
// time of its return. After an outage of some seconds even watches that look healthy are opened anew from their
// resourceVersion: the server's retransmissions to a dead connection may be a minute apart by then.
//
// No failure tells a deletion, or takes `synced` back: an outage changes nothing.
//
// Where EndpointSlices are absent (before Kubernetes 1.21) or forbidden, Endpoints are listed and watched in their
// place.
//
// stop() cancels what is under way and waits until it has ended on the pool thread, so that a process that ends leaves
// nothing half done, but not longer than a moment. What ends later finds the session closed and tells nobody.

#include "controller/kube/api_server_source.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>
#include <mutex>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "controller/kube/conversation.h"
#include "controller/kube/loop.h"
#include "controller/kube/one_object.h"
#include "controller/kube/reflector.h"
#include "controller/kube/server_gate.h"
#include "controller/kube/status.h"
#include "controller/kube/transport.h"

namespace vipkeeper::kube {

using objects::Kind;
using objects::ObjectBatch;

namespace {

constexpr std::chrono::milliseconds stop_within{600};
constexpr Duration long_outage = std::chrono::seconds(3);

// Who is asked for what. The Endpoints' is asked only while the EndpointSlices' is refused.
struct Conversations {
  std::vector<std::unique_ptr<Conversation>> all;
  Reflector* slices = nullptr;
  Reflector* endpoints = nullptr;  // the last of `all`
};

Conversations make_conversations(const ApiServerOptions& options, std::random_device& random) {
  const auto in_namespace = [](const std::string& base, const std::string& name_space, const std::string& resource) {
    return base + (name_space.empty() ? "" : "/namespaces/" + percent_encode(name_space)) + "/" + resource;
  };
  Conversations result;
  if (!options.pod_name.empty() && !options.pod_namespace.empty()) {
    result.all.push_back(std::make_unique<OneObject>(
        objects::ObjectKey{Kind::pod, options.pod_namespace, options.pod_name},
        in_namespace("/api/v1", options.pod_namespace, "pods") + "/" + percent_encode(options.pod_name), random()));
  }
  const auto reflect = [&](Resource resource) {
    auto reflector = std::make_unique<Reflector>(std::move(resource), random());
    Reflector* const pointer = reflector.get();
    result.all.push_back(std::move(reflector));
    return pointer;
  };
  // From this very selector the server takes the object's name, so that RBAC's resourceNames allow the list and the
  // watch.
  reflect({Kind::config_map, "configmaps", in_namespace("/api/v1", options.config_map_namespace, "configmaps"),
           "fieldSelector=metadata.name%3D" + percent_encode(options.config_map_name), false});
  reflect({Kind::node, "nodes", "/api/v1/nodes", "", true});
  // All Services and slices of the namespaces that are watched, not only those that a VIP names: no VIP may be an
  // address that any Service or pod has.
  reflect({Kind::service, "services", in_namespace("/api/v1", options.watch_namespace, "services"), "", true});
  // Slices that belong to no Service are nobody's endpoints.
  result.slices = reflect({Kind::endpoint_slice, "endpointslices",
                           in_namespace("/apis/discovery.k8s.io/v1", options.watch_namespace, "endpointslices"),
                           "labelSelector=kubernetes.io%2Fservice-name", true});
  result.endpoints =
      reflect({Kind::endpoints, "endpoints", in_namespace("/api/v1", options.watch_namespace, "endpoints"), "", true});
  return result;
}

}  // namespace

class ApiServerSource::Session : public std::enable_shared_from_this<ApiServerSource::Session> {
 public:
  Session(const ApiServerOptions& options, const ClusterAccess& access, Sink sink)
      : url_(access.url()),
        transport_(access,
                   {options.answer_within, options.watch_answer_within, options.silence, options.watch_silence}),
        gate_(transport_, {options.probe_least, options.probe_most}, random_device_(),
              {[this](Duration gone) { opened(gone); }, [this](const std::string& reason) { still_lost(reason); }}),
        sink_(std::move(sink)) {
    Conversations conversations = make_conversations(options, random_device_);
    for (auto& conversation : conversations.all) lines_.push_back(std::make_unique<Line>(std::move(conversation)));
    slices_ = conversations.slices;
    endpoints_ = conversations.endpoints;
  }

  // The following run on the pool thread.

  void start() {
    for (std::size_t i = 0; i < endpoints_index(); ++i) carry_out(i, lines_[i]->conversation->start(Clock::now()));
  }

  void close() {
    closed_ = true;
    gate_.stop();
    for (const auto& line : lines_) line->hang_up();
  }

  // From other threads.

  // After the session: what was under way has ended.
  [[nodiscard]] std::shared_future<void> gone() const { return transport_.gone(); }
  // No call of the sink after it.
  void silence() {
    const std::lock_guard lock(sink_mutex_);
    sink_ = nullptr;
  }

  [[nodiscard]] ApiServerState state() const {
    ApiServerState state{url_, connected_, synced_, {}, {}};
    state.counters["outages"] = gate_.outages();
    state.counters["probes"] = gate_.probes();
    for (const auto& line : lines_) line->conversation->count(state.counters);
    const std::lock_guard lock(error_mutex_);
    state.last_error = last_error_;
    return state;
  }

 private:
  struct Line {
    explicit Line(std::unique_ptr<Conversation> talk) : conversation(std::move(talk)) {}

    void hang_up() {
      ++call;
      timer.stop();
      held.reset();
      if (exchange) std::exchange(exchange, nullptr)->cancel();
    }

    std::unique_ptr<Conversation> conversation;
    std::shared_ptr<Exchange> exchange;
    std::uint64_t call = 0;  // what is still told of an earlier request is not listened to
    Timer timer;
    std::optional<Request> held;  // until the server answers
    bool watches = false;         // the body of a watch is under way
    bool waits_for_server = false;
  };

  void handle(std::size_t index, const Event& event) {
    if (!closed_) carry_out(index, lines_[index]->conversation->handle(Clock::now(), event));
  }

  void carry_out(std::size_t index, Step step) {
    Line& line = *lines_[index];
    if (step.abort) line.hang_up();
    if (step.token_refused) transport_.refuse_token();
    if (step.request || step.server_gone) line.timer.stop();
    if (step.request) ask(index, *step.request);
    if (step.wait) {
      line.timer.start(*step.wait, [weak = weak_from_this(), index] {
        if (const auto self = weak.lock()) self->handle(index, WaitOver{});
      });
    }
    if (step.server_gone) lost(line, *step.server_gone);
    choose_endpoints(step.changes);
    tell(std::move(step.changes));
  }

  // Endpoints stand in for EndpointSlices that the server does not have or does not show, from the beginning on and
  // until it does. Slices that were seen once are kept as they were, as everything is while the server fails.
  void choose_endpoints(std::vector<objects::ObjectChange>& changes) {
    if (!with_endpoints_ && !slices_->synced() && !slices_->refusal().empty()) {
      with_endpoints_ = true;
      carry_out(endpoints_index(), endpoints_->start(Clock::now()));
    } else if (with_endpoints_ && slices_->synced()) {
      // In one batch with the slices, so that no endpoint is missing in between.
      with_endpoints_ = false;
      lines_[endpoints_index()]->hang_up();
      std::ranges::move(endpoints_->forget(), std::back_inserter(changes));
    }
  }

  void ask(std::size_t index, const Request& request) {
    Line& line = *lines_[index];
    // Something else found that nobody answers: the gate asks for all.
    if (!gate_.is_open()) {
      line.held = request;
      return;
    }
    const std::uint64_t call = ++line.call;
    line.watches = false;
    line.exchange =
        transport_.get(request, [weak = weak_from_this(), index, call, watch = request.watch](const Event& event) {
          const auto self = weak.lock();
          if (!self || self->lines_[index]->call != call) return;
          if (std::holds_alternative<Responded>(event)) {
            self->lines_[index]->watches = watch;
            self->connected();
          }
          if (std::holds_alternative<Ended>(event)) self->lines_[index]->exchange.reset();
          self->handle(index, event);
        });
  }

  void lost(Line& line, const std::string& reason) {
    line.waits_for_server = true;
    connected_ = false;
    gate_.close();
    explain(reason);
  }

  void still_lost(const std::string& reason) {
    explain(reason);
    tell({});
  }

  void explain(const std::string& reason) {
    problem_ = url_ + " does not answer (" + reason + "); nothing is changed until it does";
    const std::lock_guard lock(error_mutex_);
    last_error_ = reason;
  }

  void connected() {
    if (!gate_.is_open()) return;
    connected_ = true;
    problem_.clear();
  }

  void opened(Duration gone) {
    connected();
    const bool renew = gone >= long_outage;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      Line& line = *lines_[i];
      if (std::exchange(line.waits_for_server, false)) {
        handle(i, ServerAnswers{});
      } else if (line.held) {
        ask(i, *std::exchange(line.held, std::nullopt));
      } else if (renew && line.watches && line.exchange) {
        line.hang_up();
        handle(i, Ended{"opened anew after an outage"});
      }
    }
  }

  void tell(std::vector<objects::ObjectChange> changes) {
    const bool synced = synced_ || everything_listed();
    std::uint64_t generation = 0;
    for (const auto& one : lines_) generation += one->conversation->problem_generation();
    const bool new_problems = std::exchange(problem_generation_, generation) != generation || problem_ != told_problem_;
    if (changes.empty() && !new_problems && synced == synced_) return;
    synced_ = synced;
    told_problem_ = problem_;
    ObjectBatch batch;
    batch.changes = std::move(changes);
    batch.synced = synced_;
    if (!problem_.empty()) batch.problems.push_back({true, "API server", problem_});
    for (const auto& one : lines_) {
      // Once, and only where Endpoints do not help it is an error.
      if (one->conversation.get() == slices_ && with_endpoints_ && endpoints_->problems().empty()) {
        if (endpoints_->synced()) batch.problems.push_back(without_slices());
        continue;
      }
      std::ranges::move(one->conversation->problems(), std::back_inserter(batch.problems));
    }
    const std::lock_guard lock(sink_mutex_);
    if (sink_) sink_(std::move(batch));
  }

  [[nodiscard]] objects::SourceProblem without_slices() const {
    return {false, "API server",
            "EndpointSlices cannot be listed (" + slices_->refusal() +
                "); Endpoints are used in their place until they can"};
  }
  [[nodiscard]] bool endpoints_do() const { return with_endpoints_ && endpoints_->synced(); }
  [[nodiscard]] std::size_t endpoints_index() const { return lines_.size() - 1; }
  [[nodiscard]] bool everything_listed() const {
    return std::ranges::all_of(lines_, [this](const auto& one) {
      const Conversation* const talk = one->conversation.get();
      return talk == endpoints_ || talk->synced() || (talk == slices_ && endpoints_do());
    });
  }

  const std::string url_;
  std::random_device random_device_;
  Transport transport_;
  ServerGate gate_;
  std::vector<std::unique_ptr<Line>> lines_;
  Reflector* slices_ = nullptr;
  Reflector* endpoints_ = nullptr;  // of the last line
  bool with_endpoints_ = false;
  std::atomic<bool> connected_ = false;
  std::atomic<bool> synced_ = false;
  bool closed_ = false;
  std::string problem_;
  std::string told_problem_;
  std::uint64_t problem_generation_ = 0;  // of all conversations

  std::mutex sink_mutex_;
  Sink sink_;
  mutable std::mutex error_mutex_;
  std::string last_error_;
};

Result<std::unique_ptr<ApiServerSource>> ApiServerSource::create(ApiServerOptions options) {
  auto access = cluster_access(options.access);
  if (!access) return std::unexpected(access.error());
  return std::unique_ptr<ApiServerSource>(new ApiServerSource(std::move(options), *std::move(access)));
}

ApiServerSource::ApiServerSource(ApiServerOptions options, ClusterAccess access)
    : options_(std::move(options)), access_(std::move(access)) {}

ApiServerSource::~ApiServerSource() { stop(); }

std::shared_ptr<ApiServerSource::Session> ApiServerSource::session() const {
  const std::lock_guard lock(mutex_);
  return session_;
}

void ApiServerSource::start(Sink sink) {
  stop();
  auto session = std::make_shared<Session>(options_, access_, std::move(sink));
  post([session] { session->start(); });
  const std::lock_guard lock(mutex_);
  session_ = std::move(session);
}

void ApiServerSource::stop() {
  auto session = this->session();
  if (!session) return;
  session->silence();
  const auto gone = session->gone();
  {
    const std::lock_guard lock(mutex_);
    session_.reset();
  }
  // The session ends on the pool thread, where its timers and clients belong.
  post([held = std::make_shared<std::shared_ptr<Session>>(std::move(session))] {
    (*held)->close();
    held->reset();
  });
  gone.wait_for(stop_within);
}

ApiServerState ApiServerSource::state() const {
  const auto session = this->session();
  return session ? session->state() : ApiServerState{access_.url(), {}, {}, {}, {}};
}

}  // namespace vipkeeper::kube
