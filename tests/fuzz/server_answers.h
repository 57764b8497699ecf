#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/kube/reflector.h"

// What the fuzzers of an API server's answers have in common: a reflector on virtual time that is told bytes in pieces,
// and what it made of them.
namespace vipkeeper::kube {

inline void demand(bool holds) {
  if (!holds) std::abort();
}

inline Resource slices(bool streamed) {
  return {objects::Kind::endpoint_slice, "endpointslices", "/apis/discovery.k8s.io/v1/endpointslices",
          "labelSelector=kubernetes.io%2Fservice-name", streamed};
}

// One answer after the other, each in pieces of so many bytes. Stops listening where the reflector does.
class Talk {
 public:
  explicit Talk(bool streamed, std::size_t piece) : reflector_(slices(streamed), 7), piece_(piece) {
    note(reflector_.start(now_));
  }

  void answer(int status, std::string_view body, bool ends = true) {
    if (!last_.request) return;
    note(reflector_.handle(now_, Responded{status, {}}));
    bool listening = true;
    while (!body.empty() && listening) {
      const std::string_view one = body.substr(0, piece_);
      body.remove_prefix(one.size());
      Step step = reflector_.handle(now_, Received{one});
      listening = !step.abort;
      const bool said = step.abort || step.request || step.wait;
      take(step.changes);
      if (said) last_ = std::move(step);
    }
    now_ += std::chrono::seconds(5);
    if (listening && ends) note(reflector_.handle(now_, Ended{}));
  }

  [[nodiscard]] const Step& last() const { return last_; }
  [[nodiscard]] Reflector& reflector() { return reflector_; }
  // "name" or "-name", in order.
  [[nodiscard]] const std::vector<std::string>& told() const { return told_; }

 private:
  void note(Step step) {
    take(step.changes);
    last_ = std::move(step);
  }
  void take(const std::vector<objects::ObjectChange>& changes) {
    for (const auto& change : changes) {
      demand(change.key.kind == objects::Kind::endpoint_slice && !change.key.name.empty());
      told_.push_back((change.object ? "" : "-") + change.key.name_space + "/" + change.key.name);
    }
  }

  Reflector reflector_;
  std::size_t piece_;
  TimePoint now_{std::chrono::seconds(1000)};
  Step last_;
  std::vector<std::string> told_;
};

inline std::string target_of(const Step& step) { return step.request ? step.request->target : std::string(); }

}  // namespace vipkeeper::kube
