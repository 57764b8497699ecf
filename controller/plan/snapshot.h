#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/objects/objects.h"
#include "controller/plan/options.h"

namespace vipkeeper::plan {

// What changes of objects touched, in the terms of a plan. Grows over several changes.
struct Touched {
  bool config_map = false;
  std::set<std::string> entries;   // keys of the ConfigMap: the text is another, or the entry is new or gone
  bool nodes = false;              // Nodes or the own pod
  bool own_node = false;           // which Node this is
  std::set<std::string> services;  // "default/web": the Service or its endpoints
  std::set<IpAddress> addresses;   // whose user may be another now: a Node, a pod, a Service or nobody
  std::vector<IpPrefix> ranges;    // now a Node's pods', or no longer
};

// The objects that a plan is made of, with the indexes that keep a change's work apart from the number of objects.
// Objects that the options rule out (another ConfigMap, a namespace that is not watched) are not kept. What a node
// needs to go on with is kept after its deletion: the ConfigMap's entries, the own pod.
//
// Nodes and claims. What a host holds comes back as input: a kubelet may report a VIP as an address of its Node, even
// first. So the snapshot is told which addresses the entries claim, and a Node is known by its first InternalIP, else
// ExternalIP, that none claims; by the first of all only where there is no other.
class Snapshot {
 public:
  using Slices = std::map<std::string, std::shared_ptr<const objects::EndpointSlice>>;  // by the slice's name

  explicit Snapshot(PlanOptions options);

  // Takes one change in and notes in `touched` what it means; an object equal to the known one touches nothing.
  void apply(const objects::ObjectChange& change, Touched& touched);

  [[nodiscard]] const PlanOptions& options() const { return options_; }
  // The entries; null until the ConfigMap was seen once.
  [[nodiscard]] const objects::ConfigMap* config_map() const { return config_map_.get(); }
  [[nodiscard]] bool config_map_deleted() const { return config_map_deleted_; }
  // Null: not there. `service` is "namespace/name".
  [[nodiscard]] const objects::Service* service(const std::string& service) const;
  [[nodiscard]] const std::unordered_map<std::string, std::shared_ptr<const objects::Service>>& services() const {
    return services_;
  }
  // The slices of one Service, all its Endpoints object says where it has none.
  [[nodiscard]] std::vector<const objects::EndpointSlice*> slices(const std::string& service) const;
  [[nodiscard]] const std::map<std::string, std::shared_ptr<const objects::Node>>& nodes() const { return nodes_; }
  // The own pod; null: not in a pod or not seen yet.
  [[nodiscard]] const objects::Pod* own_pod() const { return own_pod_.get(); }
  // An entry (by its key) claims these addresses from now on, and no others: those that its text names, and its last
  // good form's.
  void claim(const std::string& key, std::vector<IpAddress> addresses, Touched& touched);
  // The entries that claim an address, by it.
  [[nodiscard]] const std::map<IpAddress, std::set<std::string>>& claims() const { return claims_; }
  // The address of that family by which every node of the cluster knows a Node; nullopt: it has none.
  [[nodiscard]] std::optional<IpAddress> known_address(const objects::Node& node, Family family) const;
  // This node's own of IPv4: --node-ip, which a kubelet may have told (status.hostIP), by the same rule, else what its
  // Node is known by; nullopt: neither.
  [[nodiscard]] std::optional<IpAddress> own_address() const;
  // Of the Nodes that report an address without being known by it the first by name; null: none does.
  [[nodiscard]] const std::string* reporter_of(const IpAddress& address) const;
  // The name of the Node this is, as far as it can be told: by --node-name, the own pod or the host's name, or by
  // --node-ip where no Node has that name.
  [[nodiscard]] const std::string& own_node() const { return own_node_; }
  // The same without asking whether there is such a Node.
  [[nodiscard]] std::string own_node_name() const;
  // Whose an address is that a VIP must not be: "Node node1" (which is known by it), "Service default/web", "a pod";
  // empty: nobody's. A pod on the host's network has the Node's addresses, so there the Node's rule decides.
  [[nodiscard]] std::string user_of(const IpAddress& address) const;
  // The Node whose podCIDRs hold the address; empty: none.
  [[nodiscard]] std::string pod_range_owner(const IpAddress& address) const;

 private:
  void apply_config_map(const objects::ObjectChange& change, Touched& touched);
  void apply_service(const objects::ObjectChange& change, Touched& touched);
  void apply_slice(const objects::ObjectChange& change, Touched& touched);
  void apply_endpoints(const objects::ObjectChange& change, Touched& touched);
  void apply_node(const objects::ObjectChange& change, Touched& touched);
  void apply_pod(const objects::ObjectChange& change, Touched& touched);
  void update_own_node(Touched& touched);
  [[nodiscard]] bool watched(const std::string& name_space) const;

  using Addresses = std::vector<IpAddress>;
  using Owners = std::unordered_map<IpAddress, std::set<std::string>>;
  // An object's addresses went from `gone` to `come`.
  static void move_owner(Owners& owners, const std::string& owner, const Addresses& gone, const Addresses& come,
                         Touched& touched);
  void move_pods(Addresses gone, Addresses come, Touched& touched);
  void touch_reporters(const IpAddress& address, Touched& touched);
  // Whether an own Node may be found by an address alone: it is known by it, or no entry claims it.
  [[nodiscard]] bool identifies(const objects::Node& node, const IpAddress& address) const;

  PlanOptions options_;
  std::shared_ptr<const objects::ConfigMap> config_map_;
  bool config_map_deleted_ = false;
  std::unordered_map<std::string, std::shared_ptr<const objects::Service>> services_;
  std::unordered_map<std::string, Slices> slices_;                 // by Service
  std::unordered_map<std::string, std::string> service_of_slice_;  // "default/web-x7k2p" -> "default/web"
  std::unordered_map<std::string, std::shared_ptr<const objects::Endpoints>> endpoints_;
  std::map<std::string, std::shared_ptr<const objects::Node>> nodes_;
  std::shared_ptr<const objects::Pod> own_pod_;
  std::string own_node_;
  std::unordered_map<std::string, std::shared_ptr<const objects::Pod>> pods_;  // for their addresses
  Owners reporters_;                                                           // Nodes by each address they report
  Owners services_of_address_;                                                 // by cluster IP
  std::unordered_map<IpAddress, std::uint32_t> pod_addresses_;                 // how many endpoints and pods
  std::map<std::string, Addresses> claimed_;                                   // by entry, sorted
  std::map<IpAddress, std::set<std::string>> claims_;                          // the same by address
};

}  // namespace vipkeeper::plan
