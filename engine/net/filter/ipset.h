#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/net/netlink/netlink_socket.h"
#include "engine/return_path/rules.h"

namespace vipkeeper::net {

// Sets of the kernel's ip_set (nfnetlink, linux/netfilter/ipset/ip_set.h) as far as masquerading needs them: two types,
// whose elements are virtual services (hash:ip,port) and networks (hash:net). Loads ip_set and the types where the
// kernel may. Not thread-safe.
class IpSets {
 public:
  enum class Type : std::uint8_t { services, networks };
  using Element = std::variant<return_path::ServicePort, IpPrefix>;

  struct Change {
    std::string set;
    Element element;
    bool add = true;
  };

  static Result<IpSets> open();

  // There afterwards, with what it had if it was there. Error already_exists: a set of that name is of another kind.
  Result<void> make(const std::string& set, Type type, Family family);
  // A set that is not there counts as removed; one that a rule still uses is an error.
  Result<void> destroy(const std::string& set);
  // Elements added that are there and removed that are not count as done. Error: the first that was refused.
  Result<void> apply(std::span<const Change> changes);
  // nullopt: there is no such set.
  Result<std::optional<std::vector<Element>>> list(const std::string& set);
  // How many elements it has, at the cost of a header; nullopt: there is no such set.
  Result<std::optional<std::uint32_t>> size(const std::string& set);

 private:
  explicit IpSets(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<void> ask(std::span<const MessagePtr> requests, std::string_view what, std::span<const int> good);

  NetlinkSocket socket_;
};

// The elements in one answer to IPSET_CMD_LIST; what is not understood is left out.
std::vector<IpSets::Element> parse_ipset_elements(nlmsghdr& message);

}  // namespace vipkeeper::net
