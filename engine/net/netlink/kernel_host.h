#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/host/network.h"
#include "engine/host/table.h"
#include "engine/net/netlink/netlink_socket.h"

namespace vipkeeper::net {

// The kernel's links and addresses (rtnetlink(7)) as a HostTable.
class KernelHost final : public host::HostTable {
 public:
  // Subscribes; what changes afterwards comes as notifications. Needs no rights.
  static Result<std::unique_ptr<KernelHost>> open();
  // Error permission: CAP_NET_ADMIN is missing (it is tried, with a change that changes nothing). To be called once
  // before apply().
  Result<void> allow_changes();

  // Readable when changes() has something to say.
  [[nodiscard]] int fd() const { return monitor_.fd(); }
  Result<host::NetworkState> read() override;
  std::vector<host::Answer> apply(std::span<const host::Operation> operations) override;
  Result<std::vector<host::Notification>> changes() override;

 private:
  explicit KernelHost(NetlinkSocket monitor) : monitor_(std::move(monitor)) {}
  NetlinkSocket monitor_;
  std::unique_ptr<NetlinkSocket> table_;
};

// Reads all links and addresses once.
Result<host::NetworkState> read_network();

}  // namespace vipkeeper::net
