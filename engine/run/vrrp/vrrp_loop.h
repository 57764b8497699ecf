#pragma once

#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/record/owned_address.h"
#include "engine/run/thread/vrrp_config.h"
#include "engine/status/snapshot.h"

namespace vipkeeper::run {

struct VrrpLoopOptions {
  bool dry_run = false;      // follow interfaces, show routers in INIT; no socket, no packet, no address
  bool release_vips = true;  // at the end: priority 0, addresses removed; else both are left as they are
  // Addresses left from a crash: removed when the first configuration comes, so that no Backup Router answers for them.
  // Until then they stay, since nothing is known that could take their place.
  std::set<OwnedAddress> leftover_addresses = {};
  // The record of what is on the host: claimed before it is added, released when it is gone. Called on a thread of
  // its own, which may wait.
  std::function<void(std::span<const OwnedAddress>)> claim = {}, release = {};
  // Called on the VRRP thread: must not block. May be empty.
  std::function<void(NotifyEvent)> on_transition = {};
};

// The VRRP side of a host: virtual routers, their sockets, timers, addresses and announcements, on one thread that
// waits for nothing else. See the essay in vrrp_loop.cpp. All functions may be called from any thread.
class VrrpLoop {
 public:
  // Opens what the kernel must grant (unless dry_run), starts the thread. Error permission
  // names the capability that is missing.
  static Result<std::unique_ptr<VrrpLoop>> start(VrrpLoopOptions options);
  // Stops, if stop() was not called.
  virtual ~VrrpLoop() = default;

  // Makes the virtual routers those of `config`, soon. A router that was there before (same interface, VRID, family)
  // keeps its state, and of its addresses only the difference is added or removed. Newest wins.
  virtual void apply(std::shared_ptr<const VrrpConfig> config) = 0;

  // A check script ran. Unknown names are ignored.
  virtual void script_result(ScriptResult result) = 0;

  // The virtual routers in the order of the configuration; counters are of this moment. Never waits.
  [[nodiscard]] virtual std::shared_ptr<const std::vector<status::VirtualRouterStatus>> status() const = 0;
  // vrrp_unknown_vrid_packets, vrrp_send_errors, vrrp_announcements_sent, vrrp_addresses_added, ...
  [[nodiscard]] virtual status::Counters counters() const = 0;

  // What stands against the VRRP side at this moment. Never waits.
  [[nodiscard]] virtual std::vector<status::Problem> problems() const = 0;

  // The last configuration given to apply() has been worked in.
  [[nodiscard]] virtual bool settled() const = 0;

  // False: the thread owes an answer since an earlier call, ten seconds ago or more. To be called now and then.
  [[nodiscard]] virtual bool answers() const = 0;

  // Ends the routers (see release_vips) and the thread; returns when the kernel was told.
  virtual void stop() = 0;
};

}  // namespace vipkeeper::run
