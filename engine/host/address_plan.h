#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/host/address_announcements.h"
#include "engine/host/network.h"
#include "engine/host/table.h"

namespace vipkeeper::host {

// A piece of work on the host: `operations` in this order, each claimed in the record before it adds; what is in
// `let_go` is not on the host any more and leaves the record. The answers go to AddressPlan::answered().
struct AddressPiece {
  std::vector<Operation> operations;
  std::vector<OwnedAddress> let_go;
  [[nodiscard]] bool empty() const { return operations.empty() && let_go.empty(); }
};

// How a router's addresses stand.
struct AddressSummary {
  bool wanted = false;   // one of them has an interface
  bool present = false;  // one of them is there
  std::string error;     // why one of them is not: what the kernel said last; empty: it has refused none
};

// The addresses of the whole host, level-triggered: what the Active Routers wish together, against what is there. An
// address is put on an interface while a router holds it, whoever that is, and taken off when none does. What the
// kernel refuses is tried again with backoff, and what somebody takes away is put back. Only what this program added
// is ever removed: the record says so, or the kernel's mark on an address that one of the routers has.
//
// One piece is under way at a time. The state that is handed in is the mirror's; answers count until the kernel's
// notification has arrived. Announcing follows: see AddressAnnouncements.
class AddressPlan {
 public:
  using Router = std::uint32_t;

  // `recorded`: what an earlier run left. It is not touched before allow_removal().
  explicit AddressPlan(const std::set<OwnedAddress>& recorded);

  // The addresses that a router has, whether or not it holds them; replaces what it had. An interface must be named.
  void configure(Router router, const std::vector<HostAddress>& addresses, const NetworkState& state);
  // The router is Active, or is not; its addresses are announced `repeat` times when they come, now or later.
  void hold(Router router, bool holds, unsigned repeat);
  // The router is no more.
  void forget(Router router, const NetworkState& state);
  // All that runs is configured: whatever nobody wishes may go.
  void allow_removal();
  // The end has come: what was refused is tried once more, now.
  void try_all_again();
  // Announces what the router holds, `repeat` times; a block under way goes on, and no address begins anew.
  void announce(Router router, unsigned repeat, const NetworkState& state);
  // Links or addresses changed. Returns the held addresses that somebody took away.
  std::vector<OwnedAddress> network_changed(const NetworkChanges& changes, const NetworkState& state);
  // A full reading was worked in (after network_changed()): what answers said counts no longer.
  void network_read();

  // The next piece, at most `budget` operations, found among a bounded number of addresses; empty: nothing was due
  // among these, or a piece is under way.
  AddressPiece next_piece(TimePoint now, const NetworkState& state, std::size_t budget);
  // The kernel's answers to the piece under way. True: some are unknown, and a reading is due.
  bool answered(TimePoint now, std::span<const Answer> answers, const NetworkState& state);
  AddressAnnouncements& announcements() { return announcements_; }
  [[nodiscard]] const AddressAnnouncements& announcements() const { return announcements_; }

  // next_piece() has more to look at now.
  [[nodiscard]] bool has_work() const { return !piece_out_ && dirty_count() != 0; }
  // When next_piece() has something because of time alone.
  [[nodiscard]] std::optional<TimePoint> next_retry() const;
  // Nothing is under way, due, or waiting for another try.
  [[nodiscard]] bool settled() const {
    return !piece_out_ && dirty_count() == 0 && failing_.empty() && let_go_.empty();
  }
  // Some router has this address, on whatever interface.
  [[nodiscard]] bool is_virtual(const IpAddress& address) const { return by_address_.contains(address); }
  // The record says that this address is of our making.
  [[nodiscard]] bool is_recorded(const OwnedAddress& address) const;
  [[nodiscard]] bool is_present(const OwnedAddress& address, const NetworkState& state) const;
  [[nodiscard]] AddressSummary summary(Router router, const NetworkState& state) const;
  // Routers whose addresses came, went or failed since the last call.
  std::set<Router> take_changed() { return std::exchange(changed_, {}); }
  // What stands against the routers' addresses, a line each: the kernel refuses them; they are there, though no router
  // holds them and none of ours put them there.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  struct Key {
    std::string interface;  // first, so that those of an interface lie together
    IpPrefix prefix;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    HostAddress wanted;              // as the first router that has it says
    std::optional<HostAddress> put;  // as it was put there by this run
    std::vector<Router> routers;     // that have it
    std::vector<Router> holders;     // that hold it
    unsigned repeat = 1;             // announcements when it comes
    bool recorded = false;           // ours, says the record
    bool marked = false;             // ours, says the kernel
    bool under_way = false;
    bool heard = false;        // the kernel has spoken of it since the operation under way was issued
    std::optional<bool> told;  // present, as an answer says; none: as the mirror says
    bool up = false;           // held and present at the last look
    bool queued = false;
    unsigned failures = 0;
    TimePoint retry_at{};
    std::string error;
  };
  using Entries = std::map<Key, Entry>;
  struct RouterPart {
    std::vector<Key> keys;
    bool holds = false;
    unsigned repeat = 1;
  };
  struct UnderWay {
    Key key;
    bool adds = false;
    bool was_recorded = false;
  };

  static Key key_of(const HostAddress& address) { return {address.interface, address.prefix}; }
  static OwnedAddress owned(const Key& key) { return {key.prefix, key.interface}; }
  static bool here(const Key& key, const Entry& entry, const NetworkState& state);
  static bool ours(const Entry& entry) { return entry.recorded || (entry.marked && !entry.routers.empty()); }
  void look_again(const Key& key, Entry& entry);
  void follow_rename(const Link& before, const Link& after, const NetworkState& state);
  static void forget_failure(Entry& entry);
  void touch(const Entry& entry);
  void judge(const Key& key, Entry& entry, const NetworkState& state);
  void decide(TimePoint now, const Key& key, Entry& entry, const NetworkState& state, AddressPiece& piece);
  void let_go(const Key& key, Entry& entry);
  void issue(const Key& key, Entry& entry, Operation operation, AddressPiece& piece);
  void failed(TimePoint now, const Key& key, Entry& entry, const Answer& answer);
  void remove_router(Router router, const Key& key, const NetworkState& state);
  void erase_if_idle(Entries::iterator place, const NetworkState& state);
  [[nodiscard]] std::size_t dirty_count() const { return urgent_.size() + rest_.size(); }

  Entries entries_;
  std::map<Router, RouterPart> routers_;
  std::map<IpAddress, unsigned> by_address_;  // routers that have it
  std::deque<Key> urgent_, rest_;             // to be looked at: what is to come, and all else
  std::multimap<TimePoint, Key> retries_;
  bool piece_out_ = false;            // one is not answered yet
  std::vector<UnderWay> under_way_;   // its operations
  std::set<Key> failing_;             // what the kernel refused
  std::set<Key> foreign_;             // there, held by nobody, and not ours
  std::vector<OwnedAddress> let_go_;  // not ours any more, still in the record
  std::set<Router> changed_;
  AddressAnnouncements announcements_;
  bool may_remove_ = false;
};

}  // namespace vipkeeper::host
