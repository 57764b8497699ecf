// The other half of vrrp_router.cpp: what the state machine decided becomes packets, addresses and lines.

#include <algorithm>
#include <span>

#include "engine/run/vrrp_router.h"

namespace vipkeeper::run {
namespace {

constexpr std::size_t transitions_kept = 32;
// Operations and announcements in one go, and how long they may take. What an address costs the kernel grows with the
// number that the interface has: from microseconds to a quarter of a millisecond at ten thousand.
constexpr std::size_t greatest_piece = 256;
constexpr std::size_t smallest_piece = 4;
constexpr auto piece_time = std::chrono::milliseconds(2);

std::string notify_word(vrrp::State state) {
  return state == vrrp::State::initialize ? "STOP" : std::string(to_string(state));
}

}  // namespace

void RunningRouter::perform(const vrrp::SendAdvertisement& action) {
  if (!socket_ || !source_) return;
  // Without a carrier nothing leaves, and a unicast packet leaves an unanswered ARP question behind: the neighbour
  // entry stays incomplete for up to a second after the link is back, while both sides are Active (seen on Linux 6.1).
  const auto own_link = edge_.network->links.find(link_index_);
  if (own_link == edge_.network->links.end() || !own_link->second.usable()) return;
  const vrrp::Advertisement advertisement{.version = config_->version,
                                          .vrid = config_->vrid,
                                          .priority = action.priority,
                                          .interval = config_->advert_interval,
                                          .addresses = advertised_,
                                          .auth_password = config_->auth_password};
  const auto send = [&](const IpAddress& destination) {
    const auto payload =
        vrrp::serialize_advertisement(advertisement, *source_, destination, config_->v3_checksum_as_v2);
    const auto sent = socket_->send(*source_, destination, payload);
    if (sent) return;
    edge_.counters->send_errors.fetch_add(1, std::memory_order_relaxed);
    if (sent.error().code == ErrorCode::not_found) return;  // the interface's change has a line of its own
    limited_warning("send", "(" + config_->name + ") " + sent.error().message + " on " + config_->interface);
  };
  if (!config_->unicast) {
    send(config_->multicast_group);
  } else {
    for (const auto& peer : config_->unicast_peers) {
      if (peer != *source_) send(peer);
    }
  }
  counters_->adverts_sent.fetch_add(1, std::memory_order_relaxed);
  if (action.priority == 0) counters_->priority_zero_sent.fetch_add(1, std::memory_order_relaxed);
}

void RunningRouter::perform(const vrrp::AddAddresses&) { held_.hold(); }

void RunningRouter::perform(const vrrp::RemoveAddresses&) {
  second_block_.disarm();
  refresh_.disarm();
  for (const auto& found : held_.release(*edge_.network)) {
    log_info("(" + config_->name + ") removing " + found.prefix.to_string() + " from " + found.interface +
             ", which it did not hold");
  }
  work();
}

void RunningRouter::perform(const vrrp::Announce&) {
  held_.announce(config_->announce.repeat);
  work();
  const auto now = edge_.loop.now();
  if (config_->announce.delay > Duration::zero()) second_block_.arm(now + config_->announce.delay);
  if (config_->announce.refresh > Duration::zero()) refresh_.arm(now + config_->announce.refresh);
}

void RunningRouter::perform(const vrrp::EnterState& action) {
  const WallTime wall = std::chrono::system_clock::now();
  since_ = wall;
  changed_ = true;
  transitions_.push_back({wall, std::string(to_string(action.from)), std::string(to_string(action.to)), action.reason});
  if (transitions_.size() > transitions_kept) transitions_.pop_front();
  if (action.to == vrrp::State::active) counters_->became_master.fetch_add(1, std::memory_order_relaxed);
  if (action.from == vrrp::State::active) counters_->released_master.fetch_add(1, std::memory_order_relaxed);
  // The other causes have lines of their own.
  if (action.to == vrrp::State::fault && !own_fault_.empty()) log_warning("(" + config_->name + ") " + own_fault_);
  // After a fault the unicast peers' neighbour entries for us may be stale, and they would not hear us.
  const auto link = edge_.network->links.find(link_index_);
  if (action.from == vrrp::State::fault && config_->unicast && source_ && link != edge_.network->links.end()) {
    (void)edge_.announcer->announce(link->second, std::span(&*source_, 1));
  }
  if (edge_.on_transition != nullptr && *edge_.on_transition) {
    (*edge_.on_transition)({config_, notify_word(action.to), machine_.effective_priority()});
  }
}

void RunningRouter::perform(const vrrp::LogLine& action) {
  if (action.detail) return log_detail(action.text);
  // A peer can cause these packet after packet; the lines of a transition are never held back.
  std::string text = action.text;
  if (peer_caused_) {
    const auto held_back = limiter_.admit(edge_.loop.now(), action.text);
    if (!held_back) return;
    text += LogLimiter::suffix(*held_back);
  }
  action.warning ? log_warning(text) : log_info(text);
}

void RunningRouter::second_block() {
  held_.announce(config_->announce.repeat);
  work();
}

void RunningRouter::refresh() {
  held_.announce(config_->announce.refresh_repeat);
  refresh_.arm(edge_.loop.now() + config_->announce.refresh);
  work();
}

void RunningRouter::apply_operations() {
  const auto operations = held_.next_operations(piece_, *edge_.network);
  if (operations.empty()) return;
  changed_ = true;
  const TimePoint begin = Clock::now();
  const auto failures = edge_.addresses->apply(operations);
  const auto each = (Clock::now() - begin) / operations.size();
  piece_ = std::clamp(static_cast<std::size_t>(piece_time / std::max<Duration>(each, std::chrono::nanoseconds(1))),
                      smallest_piece, greatest_piece);
  for (const auto& operation : operations) {
    auto& counter = operation.kind == net::AddressOperation::Kind::add ? edge_.counters->addresses_added
                                                                       : edge_.counters->addresses_removed;
    counter.fetch_add(1, std::memory_order_relaxed);
  }
  for (const auto& failure : failures) {
    held_.failed(operations[failure.operation]);
    edge_.counters->address_errors.fetch_add(1, std::memory_order_relaxed);
    limited_warning("address", "(" + config_->name + ") " + failure.message);
  }
}

bool RunningRouter::work() {
  if (edge_.addresses == nullptr || held_.idle()) return false;
  apply_operations();
  for (const auto& [index, addresses] : held_.next_announcements(greatest_piece)) {
    const auto link = edge_.network->links.find(index);
    if (link == edge_.network->links.end()) continue;
    edge_.counters->announcements_sent.fetch_add(addresses.size(), std::memory_order_relaxed);
    const auto announced = edge_.announcer->announce(link->second, addresses);
    if (!announced) limited_warning("announce", "(" + config_->name + ") " + announced.error().message);
  }
  return !held_.idle();
}

void RunningRouter::limited_warning(std::string_view kind, const std::string& line) {
  const auto held_back = limiter_.admit(edge_.loop.now(), kind);
  if (held_back) log_warning(line + LogLimiter::suffix(*held_back));
}

}  // namespace vipkeeper::run
