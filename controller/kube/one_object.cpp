#include "controller/kube/one_object.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/status.h"
#include "controller/objects/json.h"
#include "controller/objects/lean_json.h"

namespace vipkeeper::kube {

namespace {

constexpr std::size_t longest_body = 8 * 1024 * 1024;

}  // namespace

OneObject::OneObject(objects::ObjectKey key, std::string path, std::uint32_t seed)
    : key_(std::move(key)), path_(std::move(path)), random_(seed), backoff_(random_) {}

Step OneObject::start(TimePoint) { return get(); }

Step OneObject::handle(TimePoint now, const Event& event) {
  if (const auto* responded = std::get_if<Responded>(&event)) {
    status_ = responded->status;
    retry_after_ = responded->retry_after;
    return {};
  }
  if (const auto* received = std::get_if<Received>(&event)) {
    if (body_.size() < longest_body) body_.append(received->bytes);
    return {};
  }
  if (const auto* end = std::get_if<Ended>(&event)) {
    if (!end->failure) return ended(now);
    ++errors_;
    waiting_ = true;
    Step step;
    step.server_gone = end->failure;
    return step;
  }
  if (!waiting_) return {};
  if (std::holds_alternative<ServerAnswers>(event)) backoff_.reset();
  return get();
}

Step OneObject::get() {
  waiting_ = false;
  status_ = 0;
  body_.clear();
  ++gets_;
  Step step;
  step.request = Request{path_, false};
  return step;
}

Step OneObject::ended(TimePoint now) {
  if (status_ == status_ok) return parse();
  ++errors_;
  const std::string problem = describe_status(status_, body_);
  if (status_ == status_forbidden || status_ == status_not_found) {
    answered_ = true;
    set_problem(
        fmt::format("{} is not readable, so its node and nodeSelector are not known: {}", key_.to_string(), problem),
        false);
    return {};
  }
  set_problem(fmt::format("get {}: {}", key_.to_string(), problem), true);
  waiting_ = true;
  Step step;
  step.token_refused = status_ == status_unauthorized;
  step.wait = backoff_.next(now, retry_after_);
  return step;
}

Step OneObject::parse() {
  answered_ = true;
  Step step;
  const auto json = objects::LeanReader().read(key_.kind, body_);
  body_ = {};
  if (!json || !json->is_object()) {
    set_problem(fmt::format("{}: the answer is no JSON object", key_.to_string()), false);
    return step;
  }
  auto parsed = objects::parse_object(key_.kind, *json);
  if (!parsed) {
    set_problem(parsed.error().message, false);
    return step;
  }
  set_problem({}, false);
  step.changes.push_back({key_, std::make_shared<const objects::Object>(std::move(parsed->object))});
  return step;
}

void OneObject::set_problem(std::string problem, bool error) {
  if (problem == problem_) return;
  problem_ = std::move(problem);
  problem_is_error_ = error;
  ++problem_generation_;
}

std::vector<objects::SourceProblem> OneObject::problems() const {
  if (problem_.empty()) return {};
  return {{problem_is_error_, "API server", problem_}};
}

void OneObject::count(Counters& counters) const {
  counters["gets.pods"] = gets_.get();
  counters["errors.pods"] = errors_.get();
}

}  // namespace vipkeeper::kube
