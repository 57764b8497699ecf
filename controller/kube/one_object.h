#pragma once

#include <random>
#include <string>
#include <vector>

#include "controller/kube/backoff.h"
#include "controller/kube/conversation.h"
#include "controller/kube/tally.h"
#include "controller/objects/objects.h"

namespace vipkeeper::kube {

// Reads one object once: the own Pod, whose node and nodeSelector do not change while it lives. That it is absent, or
// that reading it is forbidden, is an answer too: a problem (a warning), and no more asking. Pure.
class OneObject final : public Conversation {
 public:
  // `path`: of the object, encoded.
  OneObject(objects::ObjectKey key, std::string path, std::uint32_t seed);

  Step start(TimePoint now) override;
  Step handle(TimePoint now, const Event& event) override;
  [[nodiscard]] bool synced() const override { return answered_; }
  [[nodiscard]] std::vector<objects::SourceProblem> problems() const override;
  [[nodiscard]] std::uint64_t problem_generation() const override { return problem_generation_; }
  void count(Counters& counters) const override;

 private:
  Step get();
  Step ended(TimePoint now);
  Step parse();
  void set_problem(std::string problem, bool error);

  objects::ObjectKey key_;
  std::string path_;
  std::minstd_rand random_;
  Backoff backoff_;
  int status_ = 0;
  std::optional<std::chrono::seconds> retry_after_;
  std::string body_;
  bool waiting_ = false;
  bool answered_ = false;
  std::string problem_;
  bool problem_is_error_ = true;
  std::uint64_t problem_generation_ = 0;
  Tally gets_;
  Tally errors_;
};

}  // namespace vipkeeper::kube
