#include "tests/simulation/lan.h"

#include <algorithm>
#include <utility>

namespace vipkeeper::simulation {
namespace {

const IpAddress group = IpAddress::v4(0xe0000012);
const std::vector<IpAddress> virtual_addresses{IpAddress::v4(0x0a000032)};

IpAddress address_of(Node node) { return IpAddress::v4(0x0a000001U + static_cast<std::uint32_t>(node)); }

}  // namespace

Node Lan::add(vrrp::Parameters parameters) {
  const Node node = nodes_.size();
  parameters.source = address_of(node);
  parameters.name = "node" + std::to_string(node);
  nodes_.push_back(NodeState{vrrp::VirtualRouter(parameters), false, false, false, {}, {}});
  part_of_.push_back(0);
  watch();
  return node;
}

void Lan::start(Node node) {
  NodeState& state = nodes_[node];
  if (!state.running) {
    // A new process: it remembers nothing but its configuration.
    state.router = vrrp::VirtualRouter(state.router.parameters());
    state.running = true;
    state.paused = false;
    state.holding = false;
    state.last_on_time.reset();
  }
  hand(node, vrrp::Startup{});
}

void Lan::stop(Node node) {
  if (!nodes_[node].running) return;
  resume(node);
  hand(node, vrrp::Shutdown{});
  nodes_[node].running = false;
  look();
}

void Lan::crash(Node node) {
  nodes_[node].running = false;
  nodes_[node].paused = false;
  nodes_[node].waiting.clear();
  look();
}

void Lan::pause(Node node) {
  nodes_[node].paused = nodes_[node].running;
  look();
}

void Lan::resume(Node node) {
  NodeState& state = nodes_[node];
  if (!state.paused) return;
  state.paused = false;
  for (const Datagram& datagram : std::exchange(state.waiting, {})) receive(datagram);
  if (due(node)) expire_timer(node);
  look();
}

void Lan::raise_fault(Node node) { hand(node, vrrp::FaultRaised{"interface eth0 is down"}); }
void Lan::clear_fault(Node node) { hand(node, vrrp::FaultCleared{}); }
void Lan::set_priority(Node node, std::uint8_t effective) { hand(node, vrrp::EffectivePriorityChanged{effective}); }

void Lan::reload(Node node, const vrrp::Parameters& parameters) {
  auto changed = parameters;
  changed.source = nodes_[node].router.parameters().source;
  changed.name = nodes_[node].router.parameters().name;
  hand(node, vrrp::ParametersChanged{changed});
}

void Lan::cut(std::vector<int> part_of) {
  part_of_ = std::move(part_of);
  watch();
}

void Lan::join() { cut(std::vector<int>(nodes_.size(), 0)); }

void Lan::block(Node from, Node to) { blocked_.emplace(from, to); }

void Lan::run_for(Duration duration) {
  const TimePoint end = now_ + duration;
  while (true) {
    const auto next = next_event();
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    if (!wire_.empty() && wire_.top().arrival <= now_) {
      const Datagram datagram = wire_.top();
      wire_.pop();
      receive(datagram);
    } else {
      for (Node node = 0; node < nodes_.size(); ++node) {
        if (due(node)) expire_timer(node);
      }
    }
    look();
    if (violations_.size() > 10) return;
  }
  now_ = end;
  look();
}

bool Lan::able(Node node) const {
  const NodeState& state = nodes_[node];
  const auto now = state.router.state();
  return state.running && !state.paused && (now == vrrp::State::backup || now == vrrp::State::active);
}

bool Lan::active(Node node) const { return nodes_[node].running && nodes_[node].router.state() == vrrp::State::active; }

std::vector<Node> Lan::actives() const {
  std::vector<Node> result;
  for (Node node = 0; node < nodes_.size(); ++node) {
    if (active(node)) result.push_back(node);
  }
  return result;
}

std::map<int, std::vector<Node>> Lan::parts() const {
  std::map<int, std::vector<Node>> result;
  for (Node node = 0; node < nodes_.size(); ++node) result[part_of_[node]].push_back(node);
  return result;
}

void Lan::watch() {
  const auto most = std::ranges::max_element(part_of_);
  seen_.assign(most == part_of_.end() ? 0 : static_cast<std::size_t>(*most) + 1, Seen{});
  look();
}

Sightings Lan::sightings() const {
  Sightings worst;
  for (const Seen& seen : seen_) {
    worst.longest_overlap = std::max(worst.longest_overlap, seen.worst.longest_overlap);
    worst.longest_gap = std::max(worst.longest_gap, seen.worst.longest_gap);
  }
  return worst;
}

// Takes down how long each part has had too many or no Active Routers. States change only at events, so looking after
// each one misses nothing.
void Lan::look() {
  for (Seen& seen : seen_) seen.actives = seen.able = 0;
  for (Node node = 0; node < nodes_.size(); ++node) {
    Seen& seen = seen_[static_cast<std::size_t>(part_of_[node])];
    seen.actives += active(node) ? 1 : 0;
    seen.able += able(node) ? 1 : 0;
  }
  const auto note = [this](bool holds, std::optional<TimePoint>& since, Duration& longest) {
    if (since) longest = std::max(longest, now_ - *since);
    if (!holds) since.reset();
    if (holds && !since) since = now_;
  };
  for (Seen& seen : seen_) {
    note(seen.actives > 1, seen.overlap_since, seen.worst.longest_overlap);
    note(seen.actives == 0 && seen.able > 0, seen.gap_since, seen.worst.longest_gap);
  }
}

void Lan::hand(Node node, const vrrp::Event& event) {
  if (!nodes_[node].running) return;
  carry_out(node, nodes_[node].router.handle(now_, event), false);
  look();
}

void Lan::expire_timer(Node node) {
  carry_out(node, nodes_[node].router.handle(now_, vrrp::TimerExpired{}), true);
  const auto deadline = nodes_[node].router.next_deadline();
  if (deadline && *deadline <= now_) violation(node, "a deadline that was served still lies in the past");
}

void Lan::carry_out(Node node, const std::vector<vrrp::Action>& actions, bool by_timer) {
  NodeState& state = nodes_[node];
  std::optional<vrrp::State> entered;
  for (const vrrp::Action& action : actions) {
    if (const auto* sending = std::get_if<vrrp::SendAdvertisement>(&action)) send(node, sending->priority);
    if (std::holds_alternative<vrrp::AddAddresses>(action)) state.holding = true;
    if (std::holds_alternative<vrrp::RemoveAddresses>(action)) state.holding = false;
    if (std::holds_alternative<vrrp::Announce>(action) && !state.holding)
      violation(node, "announces what it does not hold");
    if (const auto* enter = std::get_if<vrrp::EnterState>(&action)) {
      if (enter->from == enter->to || enter->reason.empty()) violation(node, "enters a state without need or reason");
      entered = enter->to;
    }
  }
  const auto now = state.router.state();
  if (entered && *entered != now) violation(node, "says that it enters another state than it is in");
  if (state.holding != (now == vrrp::State::active))
    violation(node, "holds addresses while not Active, or none while Active");
  if (by_timer && !entered && now == vrrp::State::active) {
    const Duration interval = state.router.parameters().advert_interval;
    if (state.last_on_time && now_ - *state.last_on_time < interval / 2) violation(node, "sends in a burst");
    state.last_on_time = now_;
  }
  if (entered) state.last_on_time.reset();
}

void Lan::send(Node from, std::uint8_t priority) {
  const vrrp::Parameters& parameters = nodes_[from].router.parameters();
  vrrp::Advertisement advertisement;
  advertisement.version = parameters.version;
  advertisement.vrid = parameters.vrid;
  advertisement.priority = priority;
  advertisement.interval = parameters.advert_interval;
  advertisement.addresses = virtual_addresses;
  const auto payload = serialize_advertisement(advertisement, parameters.source, group, false);
  for (Node to = 0; to < nodes_.size(); ++to) {
    if (to == from || part_of_[to] != part_of_[from] || blocked_.contains({from, to})) continue;
    if (!happens(conditions_.loss)) put_on_wire(from, to, payload);
    if (happens(conditions_.duplication)) put_on_wire(from, to, payload);
  }
}

void Lan::put_on_wire(Node from, Node to, const std::vector<std::byte>& payload) {
  std::uniform_int_distribution<Duration::rep> delay(conditions_.least_delay.count(), conditions_.most_delay.count());
  Datagram datagram{now_ + Duration(delay(random_)), ++sent_, from, to, payload, happens(conditions_.corruption)};
  if (datagram.corrupted) {
    const auto bit = std::uniform_int_distribution<std::size_t>(0, payload.size() * 8 - 1)(random_);
    datagram.payload[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  wire_.push(std::move(datagram));
}

void Lan::receive(const Datagram& datagram) {
  NodeState& state = nodes_[datagram.to];
  if (!state.running) return;
  if (state.paused) return state.waiting.push_back(datagram);
  ++delivered_;
  const vrrp::Parameters& parameters = state.router.parameters();
  vrrp::Expectation expectation;
  expectation.version = parameters.version;
  expectation.vrid = parameters.vrid;
  expectation.interval = parameters.advert_interval;
  const auto parsed =
      parse_advertisement(datagram.payload, vrrp::Reception{address_of(datagram.from), group, 255}, expectation);
  if (parsed && datagram.corrupted) violation(datagram.to, "accepts a packet with a flipped bit");
  if (!parsed && !datagram.corrupted) {
    violation(datagram.to, "drops a good packet: " + std::string(to_string(parsed.error())));
  }
  if (parsed) hand(datagram.to, vrrp::Received{*parsed, address_of(datagram.from)});
}

std::optional<TimePoint> Lan::next_event() const {
  std::optional<TimePoint> next;
  if (!wire_.empty()) next = wire_.top().arrival;
  for (const NodeState& state : nodes_) {
    const auto deadline = state.running && !state.paused ? state.router.next_deadline() : std::nullopt;
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

bool Lan::due(Node node) const {
  const NodeState& state = nodes_[node];
  return state.running && !state.paused && state.router.next_deadline().value_or(TimePoint::max()) <= now_;
}

bool Lan::happens(double probability) { return probability > 0 && std::bernoulli_distribution(probability)(random_); }

void Lan::violation(Node node, const std::string& what) {
  violations_.push_back("node" + std::to_string(node) + " " + what);
}

}  // namespace vipkeeper::simulation
