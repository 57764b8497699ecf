// The addresses of the host as IPVS has its table: desired, mirror, plan, apply, confirm, audit.
//
// Desired is the union over the routers that hold; an address that two routers trade never leaves. What is there is
// what the mirror says, corrected by answers that the kernel has given and not yet notified. Each address that may be
// out of step stands in a queue (those that are to come before all others), is judged when its turn comes, and stands
// there again after whatever concerns it: an answer, a notification, the end of a backoff. So there is no edge that,
// once missed, leaves an address wrong for ever; and a change costs what it touches.
//
// Of each address it is known why it may be removed: the record (claimed before it is added, let go after it is gone),
// or the kernel's mark on an address that one of our routers is configured with. An address that was there before a
// router wished for it is neither: it is announced while held, and stays.

#include "engine/host/address_plan.h"

#include <algorithm>
#include <utility>

namespace vipkeeper::host {
namespace {

constexpr Duration first_backoff = std::chrono::milliseconds(100);
constexpr Duration longest_backoff = std::chrono::seconds(30);
constexpr std::size_t most_problems = 20;
// So many addresses are looked at for one operation of a piece, so that a reload of ten thousand costs no turn much.
constexpr std::size_t looks_an_operation = 8;

Duration backoff(unsigned failures) {
  Duration result = first_backoff;
  for (unsigned i = 1; i < failures && result < longest_backoff; ++i) result *= 2;
  return std::min(result, longest_backoff);
}

bool contains(const std::vector<AddressPlan::Router>& routers, AddressPlan::Router router) {
  return std::ranges::find(routers, router) != routers.end();
}

}  // namespace

AddressPlan::AddressPlan(const std::set<OwnedAddress>& recorded) {
  for (const auto& address : recorded) {
    const Key key{address.interface, address.prefix};
    Entry& entry = entries_[key];
    entry.wanted = {.interface = address.interface, .prefix = address.prefix, .scope = 0, .label = {}, .broadcast = {}};
    entry.recorded = true;
  }
}

void AddressPlan::allow_removal() {
  if (std::exchange(may_remove_, true)) return;
  for (auto& [key, entry] : entries_) {
    if (entry.holders.empty()) look_again(key, entry);
  }
}

void AddressPlan::look_again(const Key& key, Entry& entry) {
  if (std::exchange(entry.queued, true)) return;
  (entry.holders.empty() ? rest_ : urgent_).push_back(key);
}

void AddressPlan::touch(const Entry& entry) { changed_.insert(entry.routers.begin(), entry.routers.end()); }

bool AddressPlan::here(const Key& key, const Entry& entry, const NetworkState& state) {
  const Link* link = state.find_link(key.interface);
  if (link == nullptr) return false;
  return entry.told.value_or(state.find_address({link->index, key.prefix}) != nullptr);
}

void AddressPlan::configure(Router router, const std::vector<HostAddress>& addresses, const NetworkState& state) {
  RouterPart& part = routers_[router];
  const std::vector<Key> before = std::exchange(part.keys, {});
  std::set<Key> now;
  for (const auto& address : addresses) {
    const Key key = key_of(address);
    if (!now.insert(key).second) continue;
    part.keys.push_back(key);
    Entry& entry = entries_[key];
    if (!contains(entry.routers, router)) {
      entry.routers.push_back(router);
      ++by_address_[key.prefix.address];
    }
    if (entry.routers.front() == router) entry.wanted = address;
    if (part.holds && !contains(entry.holders, router)) {
      entry.holders.push_back(router);
      entry.repeat = part.repeat;
    }
    if (const Link* link = state.find_link(key.interface)) {
      const auto* present = state.find_address({link->index, key.prefix});
      entry.marked = present != nullptr && present->protocol == address_protocol;
    }
    look_again(key, entry);
  }
  for (const Key& key : before) {
    if (!now.contains(key)) remove_router(router, key, state);
  }
  changed_.insert(router);
}

void AddressPlan::remove_router(Router router, const Key& key, const NetworkState& state) {
  const auto place = entries_.find(key);
  if (place == entries_.end()) return;
  Entry& entry = place->second;
  // While a router still has it, ours by the kernel's mark alone; from here on by the record.
  if (ours(entry)) entry.recorded = true;
  std::erase(entry.holders, router);
  if (std::erase(entry.routers, router) != 0) {
    const auto count = by_address_.find(key.prefix.address);
    if (--count->second == 0) by_address_.erase(count);
  }
  foreign_.erase(key);
  if (entry.holders.empty()) entry.up = false;
  look_again(key, entry);
  erase_if_idle(place, state);
}

// Nothing is to be known of it any more.
void AddressPlan::erase_if_idle(Entries::iterator place, const NetworkState& state) {
  const Entry& entry = place->second;
  if (!entry.routers.empty() || entry.recorded || entry.under_way) return;
  failing_.erase(place->first);
  foreign_.erase(place->first);
  if (const Link* link = state.find_link(place->first.interface)) {
    announcements_.drop(link->index, place->first.prefix.address);
  }
  entries_.erase(place);
}

void AddressPlan::forget(Router router, const NetworkState& state) {
  hold(router, false, 0);
  const auto place = routers_.find(router);
  if (place == routers_.end()) return;
  const std::vector<Key> keys = std::move(place->second.keys);
  routers_.erase(place);
  for (const Key& key : keys) remove_router(router, key, state);
  changed_.erase(router);
}

void AddressPlan::hold(Router router, bool holds, unsigned repeat) {
  const auto place = routers_.find(router);
  if (place == routers_.end()) return;
  place->second.holds = holds;
  if (holds) place->second.repeat = std::max(repeat, 1U);
  const auto change = [&](const Key& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    if (holds) entry.repeat = std::max(repeat, 1U);
    if (contains(entry.holders, router) == holds) return;
    if (holds) {
      entry.holders.push_back(router);
      // Its first try is not to wait for what the kernel said to somebody else's.
      forget_failure(entry);
    } else {
      std::erase(entry.holders, router);
      if (entry.holders.empty()) entry.up = false;
    }
    entry.queued = false;  // it may stand in the other queue: there it is passed over
    look_again(key, entry);
  };
  // Backwards on the way out: the kernel takes an interface's secondary addresses away together with their primary one.
  if (holds) {
    std::ranges::for_each(place->second.keys, change);
  } else {
    std::for_each(place->second.keys.rbegin(), place->second.keys.rend(), change);
  }
}

void AddressPlan::announce(Router router, unsigned repeat, const NetworkState& state) {
  const auto place = routers_.find(router);
  if (place == routers_.end()) return;
  const Link* link = nullptr;
  for (const Key& key : place->second.keys) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || !found->second.up) continue;
    if (link == nullptr || link->name != key.interface) link = state.find_link(key.interface);
    if (link != nullptr) announcements_.want(link->index, key.prefix.address, repeat, false);
  }
}

std::vector<OwnedAddress> AddressPlan::network_changed(const NetworkChanges& changes, const NetworkState& state) {
  std::vector<OwnedAddress> taken;
  const auto heard = [&](const InterfaceAddress& address) {
    const Link* link = state.find_link(address.key.index);
    if (link == nullptr) return;  // what is left of it follows from the link's own change
    const auto place = entries_.find({link->name, address.key.prefix});
    if (place == entries_.end()) return;
    const auto& [key, entry] = *place;
    const auto* present = state.find_address(address.key);
    place->second.heard = true;
    place->second.told.reset();
    place->second.marked = present != nullptr && present->protocol == address_protocol;
    touch(entry);
    if (entry.up && present == nullptr && !entry.under_way) taken.push_back(owned(key));
    if (present == nullptr) announcements_.drop(link->index, key.prefix.address);
    look_again(key, place->second);
  };
  std::ranges::for_each(changes.removed, heard);
  std::ranges::for_each(changes.added, heard);
  for (const auto& [before, after] : changes.links) {
    if (before && after && before->name != after->name) follow_rename(*before, *after, state);
    const bool another = !before || !after || before->name != after->name;
    const bool told_anew = before && after && (before->mac != after->mac || (!before->usable() && after->usable()));
    if (!another && !told_anew) continue;
    for (const auto* link : {before ? &*before : nullptr, after ? &*after : nullptr}) {
      if (link == nullptr || (!another && link == &*before)) continue;
      for (auto place = entries_.lower_bound({link->name, IpPrefix{IpAddress(), 0}});
           place != entries_.end() && place->first.interface == link->name; ++place) {
        auto& [key, entry] = *place;
        if (another) {
          entry.told.reset();
          entry.heard = true;
          entry.up = false;
          forget_failure(entry);  // the interface is new: what was refused on the old one is no reason to wait
          touch(entry);
          look_again(key, entry);
        } else if (entry.up) {
          announcements_.want(after->index, key.prefix.address, entry.repeat);
        }
      }
    }
  }
  return taken;
}

// An interface keeps its addresses under another name. What is ours there is known by the new one from here on, or
// nobody would take it off.
void AddressPlan::follow_rename(const Link& before, const Link& after, const NetworkState& state) {
  std::vector<HostAddress> moved;
  for (auto place = entries_.lower_bound({before.name, IpPrefix{IpAddress(), 0}});
       place != entries_.end() && place->first.interface == before.name; ++place) {
    const auto& [key, entry] = *place;
    if (ours(entry) && state.find_address({after.index, key.prefix}) != nullptr) moved.push_back(entry.wanted);
  }
  for (auto& address : moved) {
    address.interface = after.name;
    const Key key = key_of(address);
    Entry& entry = entries_[key];
    if (entry.routers.empty()) entry.wanted = address;
    entry.recorded = true;
    look_again(key, entry);
  }
}

void AddressPlan::try_all_again() {
  retries_.clear();
  for (auto& [key, entry] : entries_) {
    if (entry.failures == 0) continue;
    forget_failure(entry);
    look_again(key, entry);
  }
}

void AddressPlan::forget_failure(Entry& entry) {
  entry.failures = 0;
  entry.retry_at = {};
  entry.error.clear();
}

void AddressPlan::network_read() {
  for (auto& [key, entry] : entries_) {
    if (entry.under_way || !entry.told) continue;
    entry.told.reset();
    look_again(key, entry);
  }
}

AddressPiece AddressPlan::next_piece(TimePoint now, const NetworkState& state, std::size_t budget) {
  AddressPiece piece;
  if (piece_out_) return piece;
  while (!retries_.empty() && retries_.begin()->first <= now) {
    const Key key = retries_.begin()->second;
    retries_.erase(retries_.begin());
    if (const auto place = entries_.find(key); place != entries_.end()) look_again(key, place->second);
  }
  std::size_t looks = budget * looks_an_operation;
  for (auto* queue : {&urgent_, &rest_}) {
    for (; !queue->empty() && piece.operations.size() < budget && looks > 0; --looks) {
      const Key key = std::move(queue->front());
      queue->pop_front();
      const auto place = entries_.find(key);
      if (place == entries_.end()) continue;
      place->second.queued = false;
      judge(key, place->second, state);
      decide(now, key, place->second, state, piece);
      erase_if_idle(place, state);
    }
  }
  piece.let_go = std::exchange(let_go_, {});
  piece_out_ = !piece.empty();
  return piece;
}

// What is to be said of it, whatever is done.
void AddressPlan::judge(const Key& key, Entry& entry, const NetworkState& state) {
  const bool present = here(key, entry, state);
  const bool up = present && !entry.holders.empty();
  if (up && !entry.up) {
    announcements_.want(state.find_link(key.interface)->index, key.prefix.address, entry.repeat);
  }
  if (up != entry.up) touch(entry);
  entry.up = up;
  const bool satisfied = entry.holders.empty() ? !entry.recorded && !(present && ours(entry)) : present;
  if (satisfied && entry.failures != 0) {
    forget_failure(entry);
    touch(entry);
  }
  if (entry.failures == 0) failing_.erase(key);
  const bool foreign = present && entry.holders.empty() && !entry.routers.empty() && !ours(entry);
  if (foreign ? foreign_.insert(key).second : foreign_.erase(key) != 0) touch(entry);
}

void AddressPlan::decide(TimePoint now, const Key& key, Entry& entry, const NetworkState& state, AddressPiece& piece) {
  const Link* link = state.find_link(key.interface);
  if (entry.under_way || now < entry.retry_at) return;
  const bool present = here(key, entry, state);
  if (!entry.holders.empty()) {
    if (link == nullptr) return;  // the link's coming is a change that leads here again
    if (!present) return issue(key, entry, AddAddress{link->index, entry.wanted}, piece);
    // With another label, scope or broadcast address it is taken off first; the answer leads here again.
    if (entry.put && *entry.put != entry.wanted && ours(entry)) {
      issue(key, entry, RemoveAddress{link->index, *entry.put}, piece);
    }
    return;
  }
  if (!may_remove_) return;
  // What the record has is asked to go even where it seems to be gone: the kernel may have added it without an answer,
  // and not been heard since. Its word is what the record lets go by.
  if (link != nullptr && (entry.recorded || (present && ours(entry)))) {
    return issue(key, entry, RemoveAddress{link->index, entry.wanted}, piece);
  }
  if (entry.recorded) let_go(key, entry);
}

void AddressPlan::let_go(const Key& key, Entry& entry) {
  entry.recorded = false;
  entry.put.reset();
  let_go_.push_back(owned(key));
}

void AddressPlan::issue(const Key& key, Entry& entry, Operation operation, AddressPiece& piece) {
  const bool adds = std::holds_alternative<AddAddress>(operation);
  under_way_.push_back({key, adds, entry.recorded});
  entry.under_way = true;
  entry.heard = false;
  if (adds) {
    entry.recorded = true;
    entry.put = entry.wanted;
  }
  piece.operations.push_back(std::move(operation));
}

bool AddressPlan::answered(TimePoint now, std::span<const Answer> answers, const NetworkState& state) {
  piece_out_ = false;
  bool unknown = answers.size() < under_way_.size();
  const auto issued = std::exchange(under_way_, {});
  for (std::size_t i = 0; i < issued.size(); ++i) {
    const auto& [key, adds, was_recorded] = issued[i];
    const auto place = entries_.find(key);
    if (place == entries_.end()) continue;
    Entry& entry = place->second;
    entry.under_way = false;
    const Answer answer = i < answers.size() ? answers[i] : Answer{Outcome::unknown, "no answer from the kernel"};
    touch(entry);
    switch (answer.outcome) {
      case Outcome::done:
        if (!entry.heard) entry.told = adds;
        if (!adds) let_go(key, entry);
        break;
      case Outcome::needless:
        // Somebody else was quicker: what is there is theirs.
        if (!entry.heard) entry.told = adds;
        if (!adds || !was_recorded) let_go(key, entry);
        break;
      case Outcome::refused:
        if (adds && !was_recorded) let_go(key, entry);
        failed(now, key, entry, answer);
        break;
      case Outcome::unknown:
        unknown = true;
        failed(now, key, entry, answer);
        break;
    }
    look_again(key, entry);
    // What has come is announced at once, not when its turn comes.
    judge(key, entry, state);
  }
  return unknown;
}

void AddressPlan::failed(TimePoint now, const Key& key, Entry& entry, const Answer& answer) {
  ++entry.failures;
  entry.error = answer.message;
  entry.retry_at = now + backoff(entry.failures);
  retries_.emplace(entry.retry_at, key);
  failing_.insert(key);
}

std::optional<TimePoint> AddressPlan::next_retry() const {
  if (piece_out_ || retries_.empty()) return std::nullopt;
  return retries_.begin()->first;
}

bool AddressPlan::is_recorded(const OwnedAddress& address) const {
  const auto place = entries_.find({address.interface, address.prefix});
  return place != entries_.end() && place->second.recorded;
}

bool AddressPlan::is_present(const OwnedAddress& address, const NetworkState& state) const {
  const Key key{address.interface, address.prefix};
  const auto place = entries_.find(key);
  return here(key, place == entries_.end() ? Entry{} : place->second, state);
}

AddressSummary AddressPlan::summary(Router router, const NetworkState& state) const {
  AddressSummary result;
  const auto place = routers_.find(router);
  if (place == routers_.end()) return result;
  for (const Key& key : failing_) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || !contains(found->second.holders, router) || here(key, found->second, state))
      continue;
    result.error = found->second.error;
    break;
  }
  for (const Key& key : place->second.keys) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || state.find_link(key.interface) == nullptr) continue;
    result.wanted = true;
    result.present = here(key, found->second, state);
    if (result.present) break;
  }
  return result;
}

std::vector<std::string> AddressPlan::problems() const {
  std::vector<std::string> result;
  for (const Key& key : failing_) {
    if (result.size() >= most_problems) break;
    const auto place = entries_.find(key);
    if (place != entries_.end()) result.push_back(place->second.error + "; it is tried again and again");
  }
  for (const Key& key : foreign_) {
    if (result.size() >= most_problems) break;
    result.push_back(key.interface + " has " + key.prefix.to_string() +
                     ", a virtual address that it does not hold now and that this program did not add: it is left " +
                     "alone; remove it there, or from virtual_ipaddress");
  }
  return result;
}

}  // namespace vipkeeper::host
