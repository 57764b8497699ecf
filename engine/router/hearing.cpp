#include "engine/router/hearing.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vipkeeper::router {
namespace {

constexpr std::size_t most_unnamed = 16;
constexpr Duration stranger_silence = std::chrono::seconds(30);

std::pair<int, IpAddress> rank(const vrrp::Received& heard) { return {heard.advertisement.priority, heard.sender}; }

std::string listed(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(addresses.size(), 3); ++i) {
    text += (i == 0 ? "" : ", ") + addresses[i].to_string();
  }
  return addresses.size() > 3 ? fmt::format("{} and {} more", text, addresses.size() - 3) : text;
}

bool remove_silent(std::map<IpAddress, TimePoint>& until, TimePoint now) {
  return std::erase_if(until, [&](const auto& entry) { return entry.second <= now; }) != 0;
}

}  // namespace

Duration longest_believed(Duration own) { return std::max<Duration>(10 * own, std::chrono::seconds(10)); }

void Hearing::configure(TimePoint now, const config::VrrpInstance& instance, std::vector<IpAddress> advertised) {
  const std::vector<IpAddress> before = std::exchange(peers_, instance.unicast_peers);
  name_ = instance.name;
  interface_ = instance.interface;
  interval_ = instance.advert_interval;
  down_timer_adverts_ = instance.down_timer_adverts;
  for (const IpAddress& peer : before) {
    if (std::ranges::find(peers_, peer) != peers_.end()) continue;
    const auto heard = heard_.find(peer);
    if (instance.unicast && heard != heard_.end() && heard->second + silence_of(interval_) > now) {
      former_[peer] = heard->second + silence_of(interval_);
    }
  }
  std::erase_if(heard_, [&](const auto& entry) { return std::ranges::find(peers_, entry.first) == peers_.end(); });
  for (const IpAddress& peer : peers_) {
    former_.erase(peer);
    guests_.erase(peer);
  }
  if (!instance.unicast) former_.clear(), guests_.clear();
  strangers_.clear();
  last_list_.clear();
  advertised_ = std::move(advertised);
  advertised_set_ = {advertised_.begin(), advertised_.end()};
  expectation_ = {.version = instance.version,
                  .vrid = instance.vrid,
                  .multicast = !instance.unicast,
                  .checksum_without_pseudo_header = instance.v3_checksum_as_v2,
                  .interval = instance.advert_interval,
                  .auth_password = instance.auth_password,
                  .unicast_peers = {},
                  .any_sender = true,
                  .empty_address_list = advertised_.empty()};
}

// Three intervals and a skew of at most another (version 2: one second).
Duration Hearing::silence_of(Duration interval) const {
  return down_timer_adverts_ * interval + std::max<Duration>(interval, std::chrono::seconds(1));
}

bool Hearing::is_neighbour(const IpAddress& sender) const {
  return std::ranges::any_of(neighbours_, [&](const IpPrefix& subnet) { return subnet.contains(sender); });
}

// Why a packet that is right in itself is not for us; none: it is.
std::optional<vrrp::DropReason> Hearing::refuses(const Packet& packet, const vrrp::Advertisement& heard) {
  const auto ours = [&](const IpAddress& address) { return advertised_set_.contains(address); };
  const bool shares = heard.addresses.empty() || advertised_.empty() || std::ranges::any_of(heard.addresses, ours);
  if (!expectation_.multicast) {
    const bool neighbour = is_neighbour(packet.source);
    if (neighbour && packet.hop_limit != 255) return vrrp::DropReason::ttl;
    const bool known = std::ranges::find(peers_, packet.source) != peers_.end() || former_.contains(packet.source) ||
                       guests_.contains(packet.source);
    if (!known && (!neighbour || !shares || guests_.size() >= most_unnamed)) return vrrp::DropReason::source;
  }
  if (shares) return std::nullopt;
  if (strangers_now_.size() < most_unnamed) strangers_now_[packet.source] = heard.addresses;
  return vrrp::DropReason::address_list;
}

void Hearing::offer(const Packet& packet, const std::optional<IpAddress>& source,
                    const std::optional<IpAddress>& goodbye, AgentCounters& counters) {
  const auto drop = [&](vrrp::DropReason reason) {
    const auto place = static_cast<std::size_t>(reason);
    ++counters.discarded.at(place);
    if (!dropped_.at(place)) dropped_.at(place) = packet.source;
  };
  // An echo: a loop of the network, or another host with our address.
  if (source && packet.source == *source) return drop(vrrp::DropReason::source);
  auto parsed =
      vrrp::parse_advertisement(packet.payload, {packet.source, packet.destination, packet.hop_limit}, expectation_);
  if (!parsed) return drop(parsed.error());
  if (const auto refused = refuses(packet, *parsed)) return drop(*refused);
  ++counters.adverts_received;
  vrrp::Received heard{std::move(*parsed), packet.source};
  if (heard.advertisement.priority == 0) {
    ++counters.priority_zero_received;
    if (best_ && best_->sender == heard.sender) best_.reset();
    if (!goodbye || *goodbye == heard.sender) zero_ = std::move(heard);
    return;
  }
  if (zero_ && zero_->sender == heard.sender) zero_.reset();
  if (!best_ || best_->sender == heard.sender || rank(*best_) <= rank(heard)) best_ = std::move(heard);
}

Hearing::Taken Hearing::take(TimePoint now) {
  Taken taken;
  for (std::size_t place = 0; place < dropped_.size(); ++place) {
    const auto sender = std::exchange(dropped_.at(place), std::nullopt);
    const auto reason = static_cast<vrrp::DropReason>(place);
    if (!sender || reason == vrrp::DropReason::address_list) continue;
    taken.remarks.push_back(fmt::format("({}) discarded an advertisement from {}: wrong {}", name_, sender->to_string(),
                                        to_string(reason)));
  }
  for (auto& [sender, addresses] : std::exchange(strangers_now_, {})) {
    if (strangers_.size() >= most_unnamed && !strangers_.contains(sender)) continue;
    if (strangers_.insert_or_assign(sender, Stranger{now + stranger_silence, std::move(addresses)}).second) {
      taken.remarks.push_back(fmt::format("({}) virtual_router_id {} on {} is also used by {} for {}", name_,
                                          expectation_.vrid, interface_, sender.to_string(),
                                          listed(strangers_[sender].addresses)));
    }
  }
  if (auto zero = std::exchange(zero_, std::nullopt)) taken.heard.push_back(std::move(*zero));
  if (!best_) return taken;
  const vrrp::Received heard = *std::exchange(best_, std::nullopt);
  const auto& [advertisement, sender] = heard;
  last_heard_ = now;
  if (std::ranges::find(peers_, sender) != peers_.end()) {
    heard_[sender] = now;
  } else if (!expectation_.multicast) {
    const Duration theirs = std::clamp(advertisement.interval, interval_, longest_believed(interval_));
    const TimePoint until = now + silence_of(theirs);
    if (former_.contains(sender)) {
      former_[sender] = until;
    } else if (guests_.insert_or_assign(sender, until).second) {
      taken.more_destinations = true;
      taken.remarks.push_back(
          fmt::format("({}) {} advertises our addresses and is no peer: it is heard and answered "
                      "as one while it does",
                      name_, sender.to_string()));
    }
  }
  if (advertisement.addresses != advertised_ && advertisement.addresses != last_list_) {
    last_list_ = advertisement.addresses;
    if (!vrrp::advertises_exactly(advertisement, advertised_)) {
      taken.remarks.push_back(fmt::format("({}) {} advertises {} addresses, ours are {} and not the same", name_,
                                          sender.to_string(), advertisement.addresses.size(), advertised_.size()));
    }
  }
  taken.heard.push_back(heard);
  return taken;
}

std::vector<IpAddress> Hearing::destinations() const {
  std::vector<IpAddress> result = peers_;
  for (const auto* more : {&former_, &guests_}) {
    for (const auto& [peer, until] : *more) result.push_back(peer);
  }
  return result;
}

bool Hearing::expire(TimePoint now) {
  std::erase_if(strangers_, [&](const auto& entry) { return entry.second.until <= now; });
  const bool former = remove_silent(former_, now);
  return remove_silent(guests_, now) || former;
}

std::optional<TimePoint> Hearing::next_deadline() const {
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint at) { next = next ? std::min(*next, at) : at; };
  for (const auto* some : {&former_, &guests_}) {
    for (const auto& [peer, until] : *some) consider(until);
  }
  for (const auto& [sender, stranger] : strangers_) consider(stranger.until);
  return next;
}

std::vector<std::string> Hearing::problems() const {
  std::vector<std::string> result;
  for (const auto& [sender, stranger] : strangers_) {
    result.push_back(
        fmt::format("virtual_router_id {} on {} is also used by {} for {}, none of which is ours: the two "
                    "do not take each other's addresses, but give one of them another (--vrid)",
                    expectation_.vrid, interface_, sender.to_string(), listed(stranger.addresses)));
  }
  return result;
}

}  // namespace vipkeeper::router
