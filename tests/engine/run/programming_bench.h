#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>

#include "engine/run/services/programmer.h"
#include "engine/run/services/virtual_service.h"
#include "tests/engine/ipvs/fake_kernel.h"
#include "tests/engine/run/programming_servers.h"

namespace vipkeeper::run {

using namespace std::chrono_literals;
using namespace test;
using check::Outcome;
using Kind = ipvs::OperationError::Kind;

inline const TimePoint start{1000h};
inline const Outcome connected{Outcome::Kind::connected, 0, 400us},
    refused{Outcome::Kind::refused, ECONNREFUSED, 100us};

// A programmer on a fake kernel and virtual time.
struct Bench {
  FakeKernel kernel;
  std::vector<std::string> lines;
  Ownership* ownership = nullptr;
  TimePoint now = start;
  std::function<Outcome(const check::Probe&)> answer = [](const check::Probe&) { return connected; };
  std::unique_ptr<Programmer> programmer;

  explicit Bench(Ownership* record = nullptr, Duration audit = 0s) : ownership(record) { restart(audit); }

  void restart(Duration audit = 0s, std::function<std::vector<status::Problem>()> prepare = nullptr) {
    programmer = std::make_unique<Programmer>(
        kernel, ownership, [this](LogLevel, const std::string& line) { lines.push_back(line); },
        Programmer::Options{.seed = 1, .audit_interval = audit, .prepare_kernel = std::move(prepare)});
  }
  void apply(const std::vector<config::VirtualServer>& servers, bool complete = true) {
    programmer->apply(delta_of(servers), complete, now);
    turn();
  }
  void remove(const config::VirtualServer& server) {
    programmer->apply({{server.key, nullptr}}, true, now);
    turn();
  }
  void turn() {
    while (programmer->turn(now)) {
    }
  }
  // Moves time on by `duration`, doing all that falls due.
  void pass(Duration duration) {
    const TimePoint end = now + duration;
    while (true) {
      for (const check::Probe& probe : programmer->take_due(now, 1000))
        programmer->handle(probe.id, answer(probe), now);
      turn();
      const auto next = programmer->next_deadline(now);
      // A deadline that is not in the future after all was done would keep a thread spinning.
      REQUIRE((!next || *next > now));
      if (!next || *next > end) break;
      now = *next;
    }
    now = end;
  }
  std::vector<std::string> commands() {
    std::vector<std::string> texts;
    for (const auto& operation : kernel.commands) texts.push_back(ipvs::subject(operation));
    kernel.commands.clear();
    return texts;
  }
  [[nodiscard]] bool said(const std::string& part) const {
    return std::ranges::any_of(lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }
  [[nodiscard]] std::vector<status::Problem> problems() { return *programmer->problems(); }
  [[nodiscard]] ipvs::ServiceEntry& entry(const config::VirtualServer& server) {
    return kernel.table.at(service_key(server.key));
  }
};

using Commands = std::vector<std::string>;

}  // namespace vipkeeper::run
