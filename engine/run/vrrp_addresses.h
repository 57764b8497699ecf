#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "engine/config/config.h"
#include "engine/net/address_table.h"
#include "engine/net/link_monitor.h"

namespace vipkeeper::run {

// The addresses of one virtual router: which are wanted, which were put on an interface, which operations and
// announcements are still to be done. It decides in values and in pieces: whoever owns it applies each piece, so that
// ten thousand addresses never keep the other routers of the thread waiting. Announcing follows adding piece by piece:
// the first address is announced before the last one is added.
class HeldAddresses {
 public:
  // `owner`: the addresses are the host's own (priority 255), so only what this router added is ever removed.
  void configure(std::vector<config::VirtualAddress> wanted, bool owner, const net::NetworkState& network);

  // Begins to put every wanted address on its interface. Nothing if they are held already.
  void hold();
  // Begins to take them off again, also those that are there although they are not held (a predecessor crashed; but see
  // `owner`), which are returned: a line for the log is due.
  std::vector<config::VirtualAddress> release(const net::NetworkState& network);
  // Announces every address `repeat` times; after configure() or network_changed() those that are new anyway.
  void announce(unsigned repeat);
  // Something changed in the kernel. Held addresses that are gone are added and announced again, those that waited for
  // their interface too. Returns the addresses that somebody took away.
  std::vector<config::VirtualAddress> network_changed(const net::NetworkState& network, unsigned repeat);

  // The next operations, at most `budget`, to be applied now and in this order; then failed() for each that was
  // refused.
  std::vector<net::AddressOperation> next_operations(std::size_t budget, const net::NetworkState& network);
  void failed(const net::AddressOperation& operation);
  // The next announcements, at most `budget`, by link index.
  std::map<int, std::vector<IpAddress>> next_announcements(std::size_t budget);

  // Nothing is left to be done.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] bool holding() const { return holding_; }
  [[nodiscard]] const std::vector<config::VirtualAddress>& wanted() const { return wanted_; }

 private:
  struct Held {
    config::VirtualAddress address;
    int link_index = 0;    // where it was put; 0: nowhere (yet)
    bool foreign = false;  // it was there before
    // The kernel has told of it since: IPv6 addresses appear some time after they were asked for.
    bool seen = false;
  };
  void remove(const Held& held);
  void add_missing(unsigned repeat);

  std::vector<config::VirtualAddress> wanted_;
  bool owner_ = false;
  bool holding_ = false;
  unsigned new_repeat_ = 1;                      // announcements of addresses that come while holding
  std::vector<Held> held_;                       // while holding, one for each wanted
  std::size_t to_add_ = 0;                       // held_ from here on were not tried yet
  std::vector<net::AddressOperation> removals_;  // come before anything is added
  std::size_t to_remove_ = 0;
  std::size_t announce_begin_ = 0;  // the block under way covers held_ from here
  std::size_t to_announce_ = 0;
  unsigned rounds_ = 0;  // left, the one under way included
};

}  // namespace vipkeeper::run
