#pragma once

#include <map>
#include <optional>
#include <vector>

#include "engine/return_path/rules.h"

namespace vipkeeper::test {

// A packet filter as a value: counts what it is asked, and fails where a test says so. A failed apply() has done a part
// of it, as iptables may.
class FakeRules final : public return_path::KernelRules {
 public:
  struct State {
    std::map<Family, return_path::FamilyRules> rules;
    std::vector<return_path::Operation> operations;  // every one that was done
    std::optional<Error> read_error, apply_error;
    std::size_t done_before_error = 0;
    unsigned reads = 0, applies = 0;
    bool disturbed = false;
  };

  // `state` outlives it: the kernel's, that a restarted program finds again.
  FakeRules(std::string_view name, State& state) : name_(name), state_(state) {}

  [[nodiscard]] std::string_view name() const override { return name_; }
  Result<return_path::FamilyRules> read(Family family) override {
    ++state_.reads;
    state_.disturbed = false;
    if (state_.read_error) return std::unexpected(*state_.read_error);
    return state_.rules[family];
  }
  Result<void> apply(Family family, std::span<const return_path::Operation> operations) override {
    ++state_.applies;
    const auto done =
        state_.apply_error ? operations.first(std::min(state_.done_before_error, operations.size())) : operations;
    apply_to(state_.rules[family], done);
    if (state_.apply_error) {
      if (!done.empty()) state_.rules[family].scaffold = return_path::Scaffold::other;
      return std::unexpected(*state_.apply_error);
    }
    state_.operations.insert(state_.operations.end(), operations.begin(), operations.end());
    return {};
  }
  bool disturbed() override { return state_.disturbed; }
  [[nodiscard]] int events() const override { return -1; }

 private:
  const std::string_view name_;
  State& state_;
};

}  // namespace vipkeeper::test
