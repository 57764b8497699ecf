#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/config/config.h"
#include "engine/return_path/near.h"
#include "engine/return_path/rules.h"
#include "engine/run/services/programmer.h"
#include "engine/run/services/virtual_servers.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

// What it takes of the host. `ways`: the ones by which rules can be made, the best first; at least one.
struct ReturnPathDoors {
  std::vector<std::unique_ptr<return_path::KernelRules>> ways;
  std::function<Result<std::vector<return_path::AttachedNetwork>>()> read_networks;
  // Makes the kernel forget UDP flows to these that go on without masquerading; null: it is not done.
  std::function<Result<void>(std::span<const return_path::ServicePort>)> forget_flows = nullptr;
};

// What of a virtual server its rules are about; nullopt: nothing is masqueraded.
std::optional<return_path::Masquerade> masquerade_of(const config::VirtualServer& server);
return_path::ServicePort service_port(const config::VirtualServerKey& key);

// All that is desired, for `plan`; `attached`: the host's networks.
std::map<Family, return_path::FamilyRules> desired_rules(const VirtualServers& servers,
                                                         const std::vector<return_path::AttachedNetwork>& attached);

// Keeps the packet filter's rules as the configuration wants them, so that replies come back through this node.
//
// Everything that its thread decides and nothing that it waits for: time comes in as an argument, the kernel is the
// seam KernelRules, so the whole of it runs in a unit test. Nothing is done before everything desired was told once;
// what cannot be read is unknown and not "none". The first way that this kernel can is kept; when none can, it is tried
// again and a problem says so.
class ReturnPath {
 public:
  // The rules are read without a cause that often.
  static constexpr Duration audit_interval = std::chrono::seconds(30);

  ReturnPath(ReturnPathDoors doors, Log log);

  // `complete`: with this, everything desired was told.
  void apply(const VirtualServers& delta, bool complete);
  // Makes the kernel's rules what they shall be; of the kernel only what it takes.
  void turn(TimePoint now);
  // Somebody may have changed the rules.
  void look();
  // The descriptor that says when to look(); -1: to be asked often.
  [[nodiscard]] int events() const;
  // There are rules that somebody could change.
  [[nodiscard]] bool has_rules() const;
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // Takes all rules away, as far as the kernel lets.
  void remove_all();

  // Everything desired was told, and is in the kernel or was tried.
  [[nodiscard]] bool settled() const { return complete_ && tried_; }
  [[nodiscard]] std::vector<status::Problem> problems() const;
  [[nodiscard]] status::ReturnPathStatus status() const;
  void add_to(status::Counters& counters) const;

 private:
  // What one virtual server adds.
  struct Known {
    std::optional<return_path::Masquerade> masquerade;
    std::vector<IpAddress> here, elsewhere;  // its real servers
  };
  using Families = std::set<Family>;

  void take(const config::VirtualServerKey& key, const config::VirtualServer* server);
  void set(const return_path::ServicePort& service, std::optional<return_path::Masquerade> masquerade);
  [[nodiscard]] bool is_last_of_its_network(const IpAddress& address) const;
  void update_near(TimePoint now);
  Result<void> bring_about(Family family);
  Result<void> read(Family family);
  void note_done(Family family, std::span<const return_path::Operation> operations,
                 const std::set<return_path::ServicePort>& new_services);
  void failed(const Error& error, TimePoint now);
  void clean_other_ways();
  void audit(TimePoint now);
  void watch(TimePoint now);
  [[nodiscard]] return_path::KernelRules& way() const { return *doors_.ways[way_]; }
  void say(LogLevel level, const std::string& line) { log_(level, line); }

  ReturnPathDoors doors_;
  const Log log_;
  std::map<config::VirtualServerKey, Known> known_;
  return_path::AddressCount here_, elsewhere_;
  bool near_unknown_ = true;  // an address came or went that the networks on this node have to be asked about
  std::optional<TimePoint> near_again_;  // not all were found

  std::map<Family, return_path::FamilyRules> desired_;
  std::map<Family, return_path::FamilyRules> mirror_;  // without an entry: unknown
  std::map<Family, std::set<return_path::ServicePort>> changed_;
  Families pending_{Family::ipv4, Family::ipv6};  // to be compared with the kernel
  std::size_t way_ = 0;
  bool way_is_good_ = false;
  bool others_are_clean_ = false;
  bool complete_ = false;
  bool tried_ = false;  // what was told last

  std::optional<Error> error_;
  std::vector<std::string> refusals_;  // why the ways before this one cannot be gone
  unsigned failures_ = 0;
  TimePoint retry_at_{};
  std::optional<TimePoint> audit_at_;
  std::uint64_t changes_ = 0, errors_ = 0, repairs_ = 0;
};

}  // namespace vipkeeper::run
