#include "tests/simulation/hosts.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/vrrp/advertisement.h"

namespace vipkeeper::simulation {
namespace {

std::string own_address(HostNumber number) { return "192.0.2." + std::to_string(number + 1) + "/24"; }

}  // namespace

HostNumber Hosts::add() {
  const HostNumber number = hosts_.size();
  auto one = std::make_unique<Host>();
  one->kernel = std::make_unique<host::test::FakeHost>();
  one->kernel->set_link(2, "eth0");
  one->kernel->put(2, own_address(number));
  hosts_.push_back(std::move(one));
  start(number);
  return number;
}

void Hosts::start(HostNumber number) {
  Host& one = *hosts_[number];
  if (one.station) return;
  ++one.life;
  (void)one.kernel->changes();
  one.station = std::make_unique<router::Station>(
      router::StationOptions{.dry_run = false, .recorded = one.kernel->record}, one.kernel->state());
  if (!one.instances.empty()) configure(number, one.instances);
}

void Hosts::crash(HostNumber number) {
  Host& one = *hosts_[number];
  one.station.reset();
  one.sockets.clear();
  ++one.life;
  look();
}

void Hosts::shut_down(HostNumber number) {
  if (!running(number)) return;
  hosts_[number]->station->shut_down(now_);
  carry_out(number);
}

void Hosts::configure(HostNumber number, std::vector<config::VrrpInstance> instances) {
  Host& one = *hosts_[number];
  one.instances = std::move(instances);
  if (!one.station) return;
  router::VrrpConfig config;
  for (const auto& instance : one.instances) {
    config.instances.push_back(std::make_shared<const config::VrrpInstance>(instance));
  }
  one.station->configure(now_, config);
  carry_out(number);
}

Duration Hosts::draw(Duration most) {
  return Duration(std::uniform_int_distribution<Duration::rep>(0, most.count())(random_));
}

void Hosts::later(TimePoint at, std::function<void()> run) { tasks_.push({at, ++next_task_, std::move(run)}); }

// When the worker of that host is through with what it does next.
TimePoint Hosts::work_next(HostNumber number) {
  TimePoint& until = hosts_[number]->worked_until;
  return until = std::max(until, now_) + draw(most_work_);
}

void Hosts::carry_out(HostNumber number) {
  Host& one = *hosts_[number];
  bool more = true;
  while (more && one.station) {
    more = one.station->work(now_);
    for (auto outputs = one.station->take_outputs(); !outputs.empty(); outputs = one.station->take_outputs()) {
      for (auto& output : outputs) perform(number, output);
    }
  }
  look();
}

void Hosts::perform(HostNumber number, router::Output& output) {
  Host& one = *hosts_[number];
  const auto alive = [this, number, life = one.life] { return hosts_[number]->life == life && running(number); };
  if (auto* send = std::get_if<router::Send>(&output)) {
    ++frames;
    deliver(number, *send->envelope, send->priority);
  } else if (auto* open = std::get_if<router::OpenSocket>(&output)) {
    const bool refused = refuses_socket(number);
    one.sockets.erase(open->router);
    if (!refused) one.sockets[open->router] = open->at;
    one.station->listened(now_, open->router,
                          refused ? Result<void>(failure(ErrorCode::io, "cannot join the group")) : Result<void>());
  } else if (auto* close = std::get_if<router::CloseSocket>(&output)) {
    one.sockets.erase(close->router);
  } else if (auto* announce = std::get_if<router::AnnounceOn>(&output)) {
    frames += announce->addresses.size();
    announced += announce->addresses.size();
    for (const auto& address : announce->addresses) ++announced_of[address.to_string()];
  } else if (auto* apply = std::get_if<router::ApplyPiece>(&output)) {
    later(work_next(number), [this, number, alive, piece = std::move(apply->piece)] {
      if (!alive()) return;
      // Whether the process lives to hear of what the kernel did is another matter.
      const auto answers = hosts_[number]->kernel->work(piece);
      later(work_next(number), [this, number, alive, answers] {
        if (!alive()) return;
        hosts_[number]->station->applied(now_, answers);
        carry_out(number);
      });
    });
  } else if (auto* read = std::get_if<router::ReadHost>(&output)) {
    later(work_next(number), [this, number, alive, reading = read->number] {
      if (!alive()) return;
      auto state = hosts_[number]->kernel->read();
      later(work_next(number), [this, number, alive, reading, state = std::move(state)] {
        if (!alive()) return;
        hosts_[number]->station->host_read(now_, reading, state);
        carry_out(number);
      });
    });
  } else if (auto* line = std::get_if<router::Line>(&output)) {
    if (line->level == router::Say::Level::detail) return;
    ++lines;
    last_lines.push_back(line->text);
    if (last_lines.size() > 40) last_lines.erase(last_lines.begin());
  }
}

void Hosts::deliver(HostNumber from, const router::Envelope& envelope, std::uint8_t priority) {
  auto advertisement = envelope.advertisement;
  advertisement.priority = priority;
  for (const auto& destination : envelope.destinations) {
    const auto payload = vrrp::serialize_advertisement(advertisement, envelope.source, destination,
                                                       envelope.checksum_without_pseudo_header);
    for (HostNumber to = 0; to < hosts_.size(); ++to) {
      if (to == from) continue;
      const auto* sender = hosts_[from]->kernel->state().find_link(2);
      if (sender == nullptr || !sender->usable()) continue;
      if (!destination.is_multicast() && !hosts_[to]->kernel->has(2, destination.to_string() + "/24")) {
        continue;
      }
      later(now_ + draw(most_delay_), [this, to, source = envelope.source, destination, payload] {
        receive(to, source, destination, 255, payload);
      });
    }
  }
}

void Hosts::inject(const IpAddress& source, const vrrp::Advertisement& advertisement, std::uint8_t hop_limit) {
  const IpAddress group = IpAddress::v4(0xe0000012);
  const auto payload = vrrp::serialize_advertisement(advertisement, source, group, false);
  for (HostNumber to = 0; to < hosts_.size(); ++to) receive(to, source, group, hop_limit, payload);
}

void Hosts::receive(HostNumber number, const IpAddress& source, const IpAddress& destination, std::uint8_t hop_limit,
                    const std::vector<std::byte>& payload) {
  Host& one = *hosts_[number];
  if (!one.station) return;
  const auto* link = one.kernel->state().find_link(2);
  if (link == nullptr || !link->usable()) return;
  for (const auto& [router, at] : one.sockets) {
    if (at.local == destination && at.link_index == link->index) {
      one.station->offer(router, {source, destination, hop_limit, payload});
    }
  }
  one.station->packets_taken(now_);
  carry_out(number);
}

void Hosts::run_for(Duration duration) {
  const TimePoint end = now_ + duration;
  while (true) {
    for (HostNumber number = 0; number < hosts_.size(); ++number) {
      Host& one = *hosts_[number];
      if (one.kernel->queued() > 0 && !one.notice_at) one.notice_at = now_ + draw(most_notice_);
    }
    TimePoint next = end;
    if (!tasks_.empty()) next = std::min(next, tasks_.top().at);
    for (const auto& one : hosts_) {
      if (!one->station) continue;
      if (one->notice_at) next = std::min(next, *one->notice_at);
      if (const auto deadline = one->station->next_deadline()) next = std::min(next, *deadline);
    }
    if (next >= end) break;
    now_ = std::max(now_, next);
    if (!tasks_.empty() && tasks_.top().at <= now_) {
      const auto run = tasks_.top().run;
      tasks_.pop();
      run();
      continue;
    }
    for (HostNumber number = 0; number < hosts_.size(); ++number) {
      Host& one = *hosts_[number];
      if (one.notice_at && *one.notice_at <= now_) {
        one.notice_at.reset();
        if (one.station) one.station->host_said(now_, one.kernel->changes());
        if (one.station) carry_out(number);
      }
      if (one.station && one.station->next_deadline().value_or(TimePoint::max()) <= now_) {
        one.station->timer(now_);
        carry_out(number);
      }
    }
  }
  now_ = end;
  look();
}

std::set<std::string> Hosts::held(HostNumber number) const {
  std::set<std::string> result;
  for (const auto& [key, address] : hosts_[number]->kernel->state().addresses()) {
    const auto text = key.prefix.to_string();
    if (text != own_address(number)) result.insert(text);
  }
  return result;
}

std::set<std::string> Hosts::wished(HostNumber number) const {
  std::set<std::string> result;
  if (!running(number)) return result;
  const auto& station = *hosts_[number]->station;
  for (const auto router : station.routers()) {
    const auto& agent = station.agent(router);
    if (agent.state() != vrrp::State::active) continue;
    for (const auto& address : router::host_addresses(agent.instance())) {
      if (hosts_[number]->kernel->state().find_link(address.interface) != nullptr) {
        result.insert(address.prefix.to_string());
      }
    }
  }
  return result;
}

// States change at events only, so looking after each misses nothing.
void Hosts::look() {
  if (hosts_.size() < 2) return;
  std::map<std::string, int> active;
  for (const auto& one : hosts_) {
    if (!one->station) continue;
    for (const auto router : one->station->routers()) {
      const auto& agent = one->station->agent(router);
      if (agent.state() == vrrp::State::active) ++active[agent.instance().name];
    }
  }
  for (auto since = overlap_since_.begin(); since != overlap_since_.end();) {
    longest_overlap_ = std::max(longest_overlap_, now_ - since->second);
    const auto still = active.find(since->first);
    since = still != active.end() && still->second > 1 ? std::next(since) : overlap_since_.erase(since);
  }
  for (const auto& [name, count] : active) {
    if (count > 1) overlap_since_.try_emplace(name, now_);
  }
}

}  // namespace vipkeeper::simulation
