#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status/snapshot.h"

namespace vipkeeper::run {

// What is wrong with scripts now, one problem a script: raised and withdrawn by the thread that runs them, read by any.
class ScriptProblems {
 public:
  void raise(const std::string& script, const std::string& message) {
    const std::lock_guard lock(mutex_);
    problems_[script] = message;
  }
  void withdraw(const std::string& script) {
    const std::lock_guard lock(mutex_);
    problems_.erase(script);
  }
  void withdraw_all(std::string_view beginning) {
    const std::lock_guard lock(mutex_);
    std::erase_if(problems_, [&](const auto& problem) { return problem.first.starts_with(beginning); });
  }
  [[nodiscard]] std::vector<status::Problem> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<status::Problem> result;
    for (const auto& [script, message] : problems_) result.push_back({true, script, message});
    return result;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> problems_;
};

}  // namespace vipkeeper::run
