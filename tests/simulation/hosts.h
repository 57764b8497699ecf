#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/router/station.h"
#include "tests/engine/host/fake_host.h"

// Whole hosts on virtual time: each a router::Station as the VRRP thread runs it, on a kernel that refuses, forgets to
// tell, is slow to answer and has its links and addresses taken away, on a LAN with delay.
namespace vipkeeper::simulation {

using HostNumber = std::size_t;

class Hosts {
 public:
  Hosts(std::uint64_t seed, TimePoint start) : random_(seed), now_(start) {}

  // A host with eth0 (index 2) and the address 192.0.2.(number + 1)/24.
  HostNumber add();
  void configure(HostNumber host, std::vector<config::VrrpInstance> instances);
  void shut_down(HostNumber host);
  // A process that dies, and one that begins with the record it left.
  void crash(HostNumber host);
  void start(HostNumber host);

  host::test::FakeHost& kernel(HostNumber host) { return *hosts_[host]->kernel; }
  [[nodiscard]] const router::Station& station(HostNumber host) const { return *hosts_[host]->station; }
  [[nodiscard]] bool running(HostNumber host) const { return hosts_[host]->station != nullptr; }
  [[nodiscard]] std::size_t size() const { return hosts_.size(); }
  [[nodiscard]] std::mt19937_64& random() { return random_; }
  [[nodiscard]] TimePoint now() const { return now_; }

  // How long an operation or a reading of the kernel takes, drawn evenly; and a notification, to be read.
  void set_kernel_delays(Duration most_work, Duration most_notice) {
    most_work_ = most_work;
    most_notice_ = most_notice;
  }
  void set_packet_delay(Duration most) { most_delay_ = most; }
  // Sockets that fail to open.
  std::function<bool(HostNumber)> refuses_socket = [](HostNumber) { return false; };

  // A packet of somebody who is no host of these, to every host.
  void inject(const IpAddress& source, const vrrp::Advertisement& advertisement, std::uint8_t hop_limit = 255);
  void run_for(Duration duration);

  // Addresses that the kernel of a host has beyond its own, and those that its Active Routers wish for.
  [[nodiscard]] std::set<std::string> held(HostNumber host) const;
  [[nodiscard]] std::set<std::string> wished(HostNumber host) const;
  // The longest time that two hosts have been Active for one router since watch(), counted by name.
  void watch() { overlap_since_.clear(), longest_overlap_ = {}; }
  [[nodiscard]] Duration longest_overlap() const { return longest_overlap_; }

  std::uint64_t frames = 0;  // ADVERTISEMENTs and announcements sent by hosts
  std::uint64_t lines = 0;   // for the operator, without detail
  std::uint64_t announced = 0;
  std::map<std::string, std::uint64_t> announced_of;  // by address
  std::vector<std::string> last_lines;

 private:
  struct Host {
    std::unique_ptr<host::test::FakeHost> kernel;
    std::unique_ptr<router::Station> station;
    std::map<router::RouterNumber, router::Listen> sockets;
    std::vector<config::VrrpInstance> instances;
    std::optional<TimePoint> notice_at;  // when it reads what the kernel says
    std::uint64_t life = 0;              // answers to a dead process are lost
    TimePoint worked_until{};            // its worker does one thing after the other, and tells in that order
  };
  struct Task {
    TimePoint at;
    std::uint64_t number;
    std::function<void()> run;
    bool operator<(const Task& other) const { return std::tie(at, number) > std::tie(other.at, other.number); }
  };

  Duration draw(Duration most);
  void later(TimePoint at, std::function<void()> run);
  TimePoint work_next(HostNumber number);
  void carry_out(HostNumber number);
  void perform(HostNumber number, router::Output& output);
  void deliver(HostNumber from, const router::Envelope& envelope, std::uint8_t priority);
  void receive(HostNumber number, const IpAddress& source, const IpAddress& destination, std::uint8_t hop_limit,
               const std::vector<std::byte>& payload);
  void look();

  std::mt19937_64 random_;
  TimePoint now_;
  Duration most_work_{0}, most_notice_{0}, most_delay_{0};
  std::vector<std::unique_ptr<Host>> hosts_;
  std::priority_queue<Task> tasks_;
  std::uint64_t next_task_ = 0;
  std::map<std::string, TimePoint> overlap_since_;
  Duration longest_overlap_{0};
};

}  // namespace vipkeeper::simulation
