#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/plan/options.h"
#include "engine/base/clock.h"
#include "engine/base/ip_address.h"
#include "engine/base/protocol.h"

// The values that a plan is made of: which addresses the node shares and what stands behind them, and what is wrong
// with the objects that say so. All immutable once shared.
namespace vipkeeper::plan {

// error: something that was asked for is not done. warning: it is done, but perhaps not as meant.
enum class Severity : std::uint8_t { error, warning };

struct Problem {
  Severity severity = Severity::error;
  std::string object;   // "ConfigMap default/vip-configmap key 10.0.0.50"
  std::string message;  // what is wrong, what is done about it, and the remedy
  auto operator<=>(const Problem&) const = default;
};

// linux/ip_vs.h's forwarding methods, and the proxy that is not one of them.
enum class Method : std::uint8_t { masquerade, direct, tunnel, proxy };
// "NAT", "DR", "TUN", "PROXY": the words of the ConfigMap and of lvs_method.
std::string_view to_string(Method method);

enum class CheckType : std::uint8_t { tcp, http, https, udp, none };

// How it is found out whether a real server is alive.
struct HealthCheck {
  CheckType type = CheckType::tcp;
  std::uint16_t port = 0;  // to ask on; 0: the real server's
  std::uint32_t interval_seconds = 5;
  std::uint32_t timeout_seconds = 3;
  std::optional<std::uint32_t> retries;        // before it counts as dead; not said: the engine's default
  std::optional<std::uint32_t> retry_seconds;  // between them; likewise
  std::string path = "/";                      // this and the next two: http and https only
  std::string host;                            // empty: the real server's address
  std::uint16_t status = 200;
  bool operator==(const HealthCheck&) const = default;
};

// A VIP as it is put on an interface.
struct VipAddress {
  IpPrefix prefix;
  std::string interface;  // empty: the virtual router's
  bool tracked = true;    // the Virtual Router shares the fate of that interface
  auto operator<=>(const VipAddress&) const = default;
};

// The one Virtual Router of a node, "vips".
struct VrrpPlan {
  std::string name = "vips";
  std::string interface;
  std::uint8_t vrid = 50;
  std::uint8_t priority = 100;
  Duration advert_interval = std::chrono::seconds(1);
  bool unicast = false;
  IpAddress source;                            // this node's address
  std::vector<IpAddress> peers;                // the other nodes', sorted numerically, without the own
  std::vector<VipAddress> addresses;           // advertised, sorted numerically
  std::vector<VipAddress> excluded_addresses;  // held too, but more than one advertisement can name
  std::string notify;                          // empty: none
  bool operator==(const VrrpPlan&) const = default;
};

// What identifies a virtual service; ordered by address, then port, as the text is.
struct VirtualServiceKey {
  IpAddress address;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::tcp;

  // "tcp 10.0.0.50:80"
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const VirtualServiceKey&) const = default;
};

// Whether replies to a client find their way back: only where they do not, always, or never by our doing.
enum class Masquerade : std::uint8_t { automatic, always, never };
// "auto", "always", "never"
std::string_view to_string(Masquerade masquerade);

struct RealServerPlan {
  IpAddress address;
  std::uint16_t port = 0;
  int weight = 1;  // 0: it drains, keeps its connections and gets no new ones
  bool on_this_node = false;
  auto operator<=>(const RealServerPlan&) const = default;
};

struct VirtualServicePlan {
  VirtualServiceKey key;
  std::string service;  // "default/web"
  Method method = Method::masquerade;
  Masquerade masquerade = Masquerade::automatic;  // of method masquerade only
  std::string scheduler = "wlc";
  std::uint32_t persistence_seconds = 0;     // 0: none
  HealthCheck check;                         // of type tcp or none
  std::vector<RealServerPlan> real_servers;  // sorted numerically, no duplicates; none: refuses connections
  bool operator==(const VirtualServicePlan&) const = default;
};

// What the status of a Service of the own load balancer class is to say.
struct LoadBalancerPlan {
  std::vector<IpAddress> addresses;  // held by all entries that name the Service, sorted; none: nothing serves it
  bool shown = false;                // the Service's status says exactly that already
  bool operator==(const LoadBalancerPlan&) const = default;
};

// By "namespace/name"; only Services of type LoadBalancer with objects::load_balancer_class.
using LoadBalancers = std::map<std::string, LoadBalancerPlan>;
using VirtualServices = std::map<VirtualServiceKey, std::shared_ptr<const VirtualServicePlan>>;
// By object, so that one object's problems change without touching another's.
using Problems = std::map<std::string, std::vector<Problem>>;

// Everything a node is to do. Not ready: the own node is not known yet, nothing may be concluded from what is absent.
struct VipPlan {
  bool ready = false;
  std::shared_ptr<const VrrpPlan> vrrp;  // null: no VIP, no Virtual Router
  VirtualServices virtual_services;
  LoadBalancers load_balancers;
  Problems problems;
};

// What one step changed in a VipPlan.
struct PlanChange {
  bool ready = false;         // the plan as a whole, after this change
  bool vrrp_changed = false;  // `vrrp` is the new one (null: gone); else `vrrp` means nothing
  std::shared_ptr<const VrrpPlan> vrrp;
  VirtualServices virtual_services;  // null: removed
  Problems problems;                 // an object's new list; empty: nothing is wrong with it any more
  std::map<std::string, std::optional<LoadBalancerPlan>> load_balancers;  // nullopt: no such Service any more

  [[nodiscard]] bool empty() const {
    return !vrrp_changed && virtual_services.empty() && problems.empty() && load_balancers.empty();
  }
};

// Same values, whoever owns them.
bool same(const VipPlan& one, const VipPlan& other);

// All problems of a plan in order of their objects.
std::vector<Problem> all_problems(const Problems& problems);

}  // namespace vipkeeper::plan
