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

std::optional<IpAddress> first_v4(const std::vector<IpAddress>& addresses) {
  const auto found = std::ranges::find_if(addresses, [](const auto& address) { return address.is_v4(); });
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

// What every node of the cluster takes for this Node's address.
std::optional<IpAddress> listed_address(const Node& node) {
  const auto internal = first_v4(node.internal_addresses);
  return internal ? internal : first_v4(node.external_addresses);
}

bool has_address(const Node& node, const IpAddress& address) {
  return std::ranges::find(node.internal_addresses, address) != node.internal_addresses.end() ||
         std::ranges::find(node.external_addresses, address) != node.external_addresses.end();
}

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
  Search(const Snapshot& snapshot, const std::vector<HostInterface>& interfaces, bool known_before)
      : snapshot_(snapshot), options_(snapshot.options()), interfaces_(interfaces), known_before_(known_before) {}

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
                                     known_before_ ? "going on with what was known of it"
                                                   : "waiting, no address is held and nothing is forwarded",
                                     remedy));
    return false;
  }

  bool find_node();
  bool find_node_by_ip();
  bool find_address();
  bool find_interface();
  void rank();

  const Snapshot& snapshot_;
  const PlanOptions& options_;
  const std::vector<HostInterface>& interfaces_;
  bool known_before_;
  std::string object_;
  std::string name_;
  const Node* node_ = nullptr;
  NodePlace place_;
  NodePlan plan_;
};

bool Search::find_node() {
  const auto* pod = snapshot_.own_pod();
  name_ = snapshot_.own_node_name();
  object_ = "Node " + name_;
  const auto found = snapshot_.nodes().find(name_);
  if (found != snapshot_.nodes().end()) {
    node_ = found->second.get();
  } else if (!find_node_by_ip()) {
    if (options_.node_ip) {
      say(Severity::warning,
          fmt::format("not among the {} Nodes seen: rank reckoned from --node-ip {}; give --node-name",
                      snapshot_.nodes().size(), options_.node_ip->to_string()));
    } else {
      return give_up(fmt::format("the own Node is not among the {} seen", snapshot_.nodes().size()),
                     "give --node-name, or --node-ip");
    }
  }
  if (pod == nullptr && !options_.pod_name.empty()) {
    say(Severity::warning,
        fmt::format("the own Pod {}/{} is not seen, so its nodeSelector is not known: all Nodes count "
                    "as peers; check POD_NAME, POD_NAMESPACE and the right to get pods",
                    options_.pod_namespace, options_.pod_name));
  }
  return true;
}

bool Search::find_node_by_ip() {
  if (!options_.node_ip) return false;
  for (const auto& [name, node] : snapshot_.nodes()) {
    if (!has_address(*node, *options_.node_ip)) continue;
    name_ = name;
    object_ = "Node " + name;
    node_ = node.get();
    return true;
  }
  return false;
}

bool Search::find_address() {
  if (options_.node_ip) {
    place_.address = *options_.node_ip;
    return options_.node_ip->is_v4() ||
           give_up(fmt::format("--node-ip {} is an IPv6 address, which is not available yet",
                               options_.node_ip->to_string()),
                   "give an IPv4 address");
  }
  const auto listed = listed_address(*node_);
  if (!listed) return give_up("it has neither an InternalIP nor an ExternalIP of IPv4", "give --node-ip");
  place_.address = *listed;
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

void Search::rank() {
  const auto* pod = snapshot_.own_pod();
  const std::map<std::string, std::string> everything;
  const auto& selector = pod != nullptr ? pod->node_selector : everything;
  // The rank is by what all nodes see of each other; --node-ip is known here alone.
  const IpAddress own = node_ != nullptr ? listed_address(*node_).value_or(place_.address) : place_.address;
  const bool own_matches = node_ == nullptr || matches(*node_, selector);
  std::set<IpAddress> ranked;
  if (own_matches) ranked.insert(own);
  for (const auto& [name, node] : snapshot_.nodes()) {
    if (!matches(*node, selector)) continue;
    if (const auto address = listed_address(*node)) ranked.insert(*address);
  }
  if (own_matches) {
    const auto index = static_cast<std::size_t>(std::distance(ranked.begin(), ranked.find(own)));
    place_.priority = static_cast<std::uint8_t>(std::min(first_priority + index, highest_priority));
  } else {
    place_.priority = first_priority - 1;
    say(Severity::warning,
        "it does not match the own Pod's nodeSelector, so it comes after all that do (priority 99); "
        "label it or change the nodeSelector");
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
  return Search(snapshot, interfaces, before.has_value()).run();
}

std::shared_ptr<const VrrpPlan> build_vrrp(const NodePlace& place, const std::vector<VipAddress>& addresses,
                                           const PlanOptions& options, const std::vector<HostInterface>& interfaces) {
  if (addresses.empty()) return nullptr;
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
