#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ip_address.h"

namespace vipkeeper::host {

// Which addresses are still to be announced on which link (gratuitous ARP, RFC 9568 section 6.4.1), how often, and how
// fast. An address that was never announced goes first and at once; repetitions of what was announced are paced a link,
// since switches take a storm of ARP for an attack. Asking for an address that waits already adds no turn beyond what
// was asked: nobody can make it begin anew.
class AddressAnnouncements {
 public:
  // At least `times` announcements of the address on that link are due from now on. `came`: the neighbours do not know
  // yet that it is there, or with which hardware address, so the first one waits for nothing.
  void want(int link_index, const IpAddress& address, unsigned times, bool came = true);
  // The address left the link.
  void drop(int link_index, const IpAddress& address);
  // The next ones, at most `budget` in all, by link. They count as sent; what could not be sent is handed to unsent().
  std::map<int, std::vector<IpAddress>> next(TimePoint now, std::size_t budget);
  // The link took no more of them: tried again in a moment.
  void unsent(TimePoint now, int link_index, const std::vector<IpAddress>& addresses);

  // When next() has something; nullopt: nothing waits.
  [[nodiscard]] std::optional<TimePoint> next_time() const;

 private:
  struct OnLink {
    std::map<IpAddress, unsigned> left;  // that wait: how many times each
    std::deque<IpAddress> first, again;  // in turn; what is not in `left` has been dropped
    double tokens;
    TimePoint filled;
    TimePoint not_before{};
  };
  OnLink& on_link(int link_index);
  static void fill(OnLink& link, TimePoint now);
  static void take(OnLink& link, std::deque<IpAddress>& queue, bool paced, std::size_t budget,
                   std::vector<IpAddress>& result);
  static TimePoint time_of(const OnLink& link);

  std::map<int, OnLink> links_;
};

}  // namespace vipkeeper::host
