#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"

namespace vipkeeper::check {

// What is probed and how: whoever names the same target shares one check. The durations and the retries are
// keepalived's TCP_CHECK and delay_loop (reference of the fields: config::TcpCheck).
struct Target {
  IpAddress address;
  std::uint16_t port = 0;
  Duration timeout{};
  Duration interval{};
  Duration delay_before_retry{};
  unsigned retry = 0;  // further tries after a failure before the target is dead

  auto operator<=>(const Target&) const = default;
};

// unknown: not one probe has ended yet.
enum class Health : std::uint8_t { unknown, alive, dead };

// How one probe ended. local: it says nothing about the target (no file descriptor, no free port).
struct Outcome {
  enum class Kind : std::uint8_t { connected, refused, timed_out, local };
  Kind kind = Kind::connected;
  int error = 0;       // errno, for refused and local
  Duration elapsed{};  // from the SYN on
};

// Who asked for a check: the caller's number for it.
using User = std::uint32_t;

// Names one probe under way; never used twice.
struct ProbeId {
  std::uint32_t slot = 0;
  std::uint32_t serial = 0;
  auto operator<=>(const ProbeId&) const = default;
};

struct Probe {
  ProbeId id;
  IpAddress address;
  std::uint16_t port = 0;
  Duration timeout{};
};

// A target's health has changed, or is known for the first time.
struct Change {
  Target target;
  Health from = Health::unknown;
  Health to = Health::unknown;
  std::string text;  // as Schedule::text()
  std::vector<User> users;
};

// When each target is probed next, and what its probes say about it. One check a target however many use it; a
// configuration that changes around a check does not disturb it, so reloads cannot starve checks.
//
// The law of a verdict (keepalived's): the first probe decides at once. One success makes a target alive. A failure of
// a living one is followed by up to `retry` further tries, `delay_before_retry` apart; if all fail it is dead. A dead
// one is probed each `interval`, without retries. First probes are spread over two seconds (urgent ones go at once),
// the second ones over the interval, so that thousands of checks neither start together nor stay together.
//
// Pure: time is an argument, probes are the caller's.
class Schedule {
 public:
  // `seed` varies the spreading from host to host.
  explicit Schedule(std::uint64_t seed) : seed_(seed) {}

  // `user` wants `target` checked; several times is once. `urgent`: it counts as dead until the first probe ends.
  // The result of a check of the same address and port, with other parameters, is taken over.
  void acquire(const Target& target, User user, bool urgent, TimePoint now);
  // The last user's release ends the check; a probe under way is forgotten.
  void release(const Target& target, User user);

  [[nodiscard]] Health health(const Target& target) const;
  // "tcp: connected in 0.4 ms", "tcp: Connection refused", "tcp: not checked yet"; for status and logs.
  [[nodiscard]] std::string text(const Target& target) const;

  // Not before this take_due() has something; nullopt: nothing is scheduled.
  [[nodiscard]] std::optional<TimePoint> next_deadline();
  // Up to `limit` probes to start now, longest due first. Each is to be answered by handle().
  std::vector<Probe> take_due(TimePoint now, std::size_t limit);
  std::optional<Change> handle(TimePoint now, ProbeId id, const Outcome& outcome);

  [[nodiscard]] std::size_t size() const { return index_.size(); }

 private:
  struct Entry {
    std::vector<User> users;  // empty: the slot is free
    const Target* target = nullptr;
    std::uint32_t serial = 0;  // of the scheduled deadline or the probe under way
    Health health = Health::unknown;
    Outcome::Kind last = Outcome::Kind::connected;
    bool any_result = false;
    bool spread = false;  // the second probe was placed in the interval
    std::uint32_t tries_failed = 0;
    int error = 0;
    std::uint32_t elapsed_microseconds = 0;
  };
  struct Due {
    TimePoint at;
    ProbeId id;
    bool operator>(const Due& other) const { return at > other.at; }
  };

  void schedule(std::uint32_t slot, TimePoint at);
  Entry* find(ProbeId id);
  Duration judge(Entry& entry, const Outcome& outcome) const;
  void inherit(Entry& entry, const Target& target) const;
  [[nodiscard]] double fraction(const Target& target, std::uint64_t salt) const;
  [[nodiscard]] const Entry* entry_of(const Target& target) const;

  const std::uint64_t seed_;
  std::map<Target, std::uint32_t> index_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  // Deadlines of released or rescheduled checks stay in it until they come up; their serial tells them apart.
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

// "connected in 0.4 ms", "Connection refused", "no answer in 5 s"
std::string to_string(const Outcome& outcome);

}  // namespace vipkeeper::check
