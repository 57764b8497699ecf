#include "controller/plan/nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "controller/plan/address_rules.h"

namespace vipkeeper::plan {

namespace {

constexpr std::size_t first_priority = 100;
constexpr std::size_t highest_priority = 254;  // 255 is the owner's, which never gives way
constexpr std::size_t advertised_at_most = 255;

using objects::Node;

bool matches(const Node& node, const std::map<std::string, std::string>& selector) {
  return std::ranges::all_of(selector, [&](const auto& wanted) {
    const auto label = node.labels.find(wanted.first);
    return label != node.labels.end() && label->second == wanted.second;
  });
}

std::string interface_list(const std::vector<HostInterface>& interfaces) {
  std::string text;
  for (const auto& interface : subnets_of(interfaces)) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", interface.name, interface.prefix.to_string());
  }
  return text.empty() ? "none" : text;
}

// The search for one node's place: what is found on the way, and what to say about it.
class Search {
 public:
  Search(const Snapshot& snapshot, const std::vector<HostInterface>& interfaces, const std::optional<NodePlace>& before)
      : snapshot_(snapshot), options_(snapshot.options()), interfaces_(interfaces), before_(before) {}

  NodePlan run() && {
    if (find_node() && find_address() && find_interface()) {
      rank();
      plan_.place = std::move(place_);
    }
    return std::move(plan_);
  }

 private:
  void say(Severity severity, std::string message) {
    plan_.problems[object_].push_back({severity, object_, std::move(message)});
  }
  bool give_up(const std::string& why, const std::string& remedy) {
    say(Severity::error, fmt::format("{}: {}; {}", why,
                                     before_ ? "going on with what was known of it"
                                             : "waiting, no address is held and nothing is forwarded",
                                     remedy));
    return false;
  }

  bool find_node();
  bool find_address();
  bool find_interface();
  void rank();
  void leave();
  [[nodiscard]] const std::map<std::string, std::string>& selector() const {
    static const std::map<std::string, std::string> everything;
    return snapshot_.own_pod() != nullptr ? snapshot_.own_pod()->node_selector : everything;
  }
  [[nodiscard]] std::set<IpAddress> ranked_addresses() const;

  const Snapshot& snapshot_;
  const PlanOptions& options_;
  const std::vector<HostInterface>& interfaces_;
  const std::optional<NodePlace>& before_;
  std::string object_;
  const Node* node_ = nullptr;
  NodePlace place_;
  NodePlan plan_;
};

bool Search::find_node() {
  const auto* pod = snapshot_.own_pod();
  object_ = "Node " + snapshot_.own_node();
  const auto found = snapshot_.nodes().find(snapshot_.own_node());
  if (found != snapshot_.nodes().end()) {
    node_ = found->second.get();
  } else {
    // By unicast the others send to those that they know, and hear no one else.
    const bool forgotten = options_.use_unicast && !ranked_addresses().empty();
    if (forgotten && before_) {
      leave();
      return false;
    }
    if (forgotten || !options_.node_ip) {
      return give_up(fmt::format("the own Node is not among the {} seen", snapshot_.nodes().size()),
                     options_.node_ip ? "give --node-name" : "give --node-name, or --node-ip");
    }
    say(Severity::warning, fmt::format("not among the {} Nodes seen: rank reckoned from --node-ip {}; give --node-name",
                                       snapshot_.nodes().size(), options_.node_ip->to_string()));
  }
  if (pod == nullptr && !options_.pod_name.empty()) {
    say(Severity::warning,
        fmt::format("the own Pod {}/{} is not seen, so its nodeSelector is not known: all Nodes count "
                    "as peers; check POD_NAME, POD_NAMESPACE and the right to get pods",
                    options_.pod_namespace, options_.pod_name));
  }
  return true;
}

// Its place is kept, without the addresses: those would have two holders.
void Search::leave() {
  say(Severity::error,
      fmt::format(
          "the own Node is no longer among the {} seen, and others are: by unicast they neither send to this "
          "node nor hear it, so it gives its addresses up; restart its kubelet, which registers the Node, or end "
          "vipkeeper here",
          snapshot_.nodes().size()));
  plan_.place = *before_;
  plan_.place->left_out = true;
}

bool Search::find_address() {
  if (options_.node_ip && !options_.node_ip->is_v4()) {
    return give_up(
        fmt::format("--node-ip {} is an IPv6 address, which is not available yet", options_.node_ip->to_string()),
        "give an IPv4 address");
  }
  const auto own = snapshot_.own_address();
  if (!own) return give_up("it has neither an InternalIP nor an ExternalIP of IPv4", "give --node-ip");
  place_.address = *own;
  if (options_.node_ip && *own != *options_.node_ip) {
    say(Severity::warning,
        fmt::format("--node-ip {} is claimed by an entry of the ConfigMap: taken for a VIP that a kubelet reported as "
                    "the Node's own, {} is used; give --node-ip the node's own address",
                    options_.node_ip->to_string(), own->to_string()));
  }
  return true;
}

bool Search::find_interface() {
  place_.interface = options_.interface;
  if (!place_.interface.empty()) return true;
  for (const auto& interface : interfaces_) {
    const bool usable = interface.name != "lo" && is_pasteable(interface.name, false);
    if (usable && interface.prefix.address == place_.address) place_.interface = interface.name;
  }
  if (place_.interface.empty()) place_.interface = interface_for(place_.address, subnets_of(interfaces_), {});
  return !place_.interface.empty() ||
         give_up(fmt::format("no interface of this host is in the subnet of {} (there are: {})",
                             place_.address.to_string(), interface_list(interfaces_)),
                 "give --iface, or the --node-ip that is on one of them");
}

// Of the Nodes that share the VIPs, as every node knows them.
std::set<IpAddress> Search::ranked_addresses() const {
  std::set<IpAddress> result;
  for (const auto& [name, node] : snapshot_.nodes()) {
    if (!matches(*node, selector())) continue;
    if (const auto address = snapshot_.known_address(*node, Family::ipv4)) result.insert(*address);
  }
  return result;
}

void Search::rank() {
  // The rank is by what all nodes see of each other; --node-ip is known here alone.
  const auto listed = node_ != nullptr ? snapshot_.known_address(*node_, Family::ipv4) : std::nullopt;
  const IpAddress own = listed.value_or(place_.address);
  const bool own_matches = node_ == nullptr || matches(*node_, selector());
  std::set<IpAddress> ranked = ranked_addresses();
  if (own_matches) ranked.insert(own);
  if (own_matches) {
    const auto index = static_cast<std::size_t>(std::distance(ranked.begin(), ranked.find(own)));
    place_.priority = static_cast<std::uint8_t>(std::min(first_priority + index, highest_priority));
  } else {
    place_.priority = first_priority - 1;
    place_.left_out = options_.use_unicast && !ranked.empty();
    say(place_.left_out ? Severity::error : Severity::warning,
        fmt::format("it does not match the own Pod's nodeSelector, {}; label it or change the nodeSelector",
                    place_.left_out ? "so by unicast the others neither send to it nor hear it, and it holds no address"
                                    : "so it comes after all that do (priority 99)"));
  }
  if (ranked.size() > highest_priority - first_priority + 1) {
    say(Severity::warning,
        fmt::format("{} Nodes are more than there are priorities: those from the 155th on share 254; "
                    "narrow the nodeSelector",
                    ranked.size()));
  }
  std::ranges::copy_if(ranked, std::back_inserter(place_.peers),
                       [&](const auto& address) { return address != own && address != place_.address; });
}

}  // namespace

NodePlan plan_place(const Snapshot& snapshot, const std::vector<HostInterface>& interfaces,
                    const std::optional<NodePlace>& before) {
  return Search(snapshot, interfaces, before).run();
}

std::shared_ptr<const VrrpPlan> build_vrrp(const NodePlace& place, const std::vector<VipAddress>& addresses,
                                           const PlanOptions& options, const std::vector<HostInterface>& interfaces) {
  if (addresses.empty() || place.left_out) return nullptr;
  auto vrrp = std::make_shared<VrrpPlan>();
  vrrp->interface = place.interface;
  vrrp->vrid = options.vrid;
  vrrp->priority = place.priority;
  vrrp->advert_interval = options.advert_interval;
  vrrp->unicast = options.use_unicast;
  vrrp->source = place.address;
  vrrp->peers = place.peers;
  vrrp->notify = options.notify;
  const auto subnets = subnets_of(interfaces);
  for (const auto& address : addresses) {
    VipAddress placed = address;
    if (placed.interface.empty()) {
      placed.interface = interface_for(address.prefix.address, subnets, place.interface);
    } else {
      // A name that one entry gets wrong must not be a fault of the Virtual Router, and so of all VIPs.
      placed.tracked = has_interface(placed.interface, interfaces);
    }
    if (placed.interface == place.interface) placed = {.prefix = placed.prefix, .interface = {}};
    const bool fits = vrrp->addresses.size() < advertised_at_most;
    (fits ? vrrp->addresses : vrrp->excluded_addresses).push_back(std::move(placed));
  }
  return vrrp;
}

}  // namespace vipkeeper::plan
