// Reading JSON with most of it left out.
//
// A real EndpointSlice is 300 bytes an endpoint, of which the plan reads the address and three flags; a third of a real
// object is managedFields, and a Node lists every image it has. Building documents of all that would be nearly the
// whole cost of a large list: so the parser's events are taken one by one, and only members named below become part of
// a document. What is left out costs the lexer's time and no memory.
//
// The tables below say what json.cpp reads. A member that is missing here is absent there: a test compares both ways of
// reading on objects that have everything.

#include "controller/objects/lean_json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vipkeeper::objects {

namespace {

using nlohmann::json;

// A member that is kept; with children, only those of it. A name that ends in "/" stands for all that begin with it.
// Lists are looked through: what stands below a list's name is of its elements.
struct Kept {
  std::string_view name;
  std::span<const Kept> children = {};
};
using Members = std::span<const Kept>;

constexpr Kept target_reference[] = {{"kind"}};
constexpr Kept ports[] = {{"name"}, {"protocol"}, {"port"}, {"targetPort"}};

constexpr Kept annotations[] = {{"vipkeeper.io/"}, {"k8s.io/initial-events-end"}};
constexpr Kept slice_labels[] = {{"kubernetes.io/service-name"}};
constexpr Kept metadata[] = {{"name"}, {"namespace"}, {"uid"}, {"resourceVersion"}, {"annotations", annotations}};
constexpr Kept slice_metadata[] = {
    {"name"}, {"namespace"}, {"uid"}, {"resourceVersion"}, {"annotations", annotations}, {"labels", slice_labels}};
constexpr Kept node_metadata[] = {{"name"},  {"namespace"}, {"uid"}, {"resourceVersion"}, {"annotations", annotations},
                                  {"labels"}};

constexpr Kept ingress[] = {{"ip"}, {"hostname"}, {"ipMode"}};
constexpr Kept load_balancer[] = {{"ingress", ingress}};
constexpr Kept service_status[] = {{"loadBalancer", load_balancer}};
constexpr Kept service_spec[] = {{"type"},
                                 {"loadBalancerClass"},
                                 {"clusterIP"},
                                 {"clusterIPs"},
                                 {"externalIPs"},
                                 {"loadBalancerIP"},
                                 {"ports", ports},
                                 {"sessionAffinity"},
                                 {"sessionAffinityConfig"},
                                 {"publishNotReadyAddresses"}};

constexpr Kept conditions[] = {{"ready"}, {"serving"}, {"terminating"}};
constexpr Kept slice_endpoints[] = {{"addresses"}, {"conditions", conditions}, {"targetRef", target_reference}};

constexpr Kept subset_address[] = {{"ip"}, {"targetRef", target_reference}};
constexpr Kept subsets[] = {{"addresses", subset_address}, {"notReadyAddresses", subset_address}, {"ports", ports}};

constexpr Kept node_spec[] = {{"podCIDR"}, {"podCIDRs"}};
constexpr Kept node_address[] = {{"type"}, {"address"}};
constexpr Kept node_status[] = {{"addresses", node_address}};

constexpr Kept pod_ip[] = {{"ip"}};
constexpr Kept pod_spec[] = {{"nodeName"}, {"nodeSelector"}};
constexpr Kept pod_status[] = {{"podIPs", pod_ip}};

// What stands first in each is for a Status, which may come in any object's place.
constexpr Kept config_map[] = {{"kind"}, {"apiVersion"}, {"message"}, {"reason"},
                               {"code"}, {"details"},    {"data"},    {"metadata", metadata}};
constexpr Kept service[] = {{"kind"},
                            {"apiVersion"},
                            {"message"},
                            {"reason"},
                            {"code"},
                            {"details"},
                            {"metadata", metadata},
                            {"spec", service_spec},
                            {"status", service_status}};
constexpr Kept endpoint_slice[] = {{"kind"},
                                   {"apiVersion"},
                                   {"message"},
                                   {"reason"},
                                   {"code"},
                                   {"details"},
                                   {"metadata", slice_metadata},
                                   {"addressType"},
                                   {"ports", ports},
                                   {"endpoints", slice_endpoints}};
constexpr Kept endpoints[] = {{"kind"},    {"apiVersion"},         {"message"},         {"reason"}, {"code"},
                              {"details"}, {"metadata", metadata}, {"subsets", subsets}};
constexpr Kept node[] = {{"kind"},
                         {"apiVersion"},
                         {"message"},
                         {"reason"},
                         {"code"},
                         {"details"},
                         {"metadata", node_metadata},
                         {"spec", node_spec},
                         {"status", node_status}};
constexpr Kept pod[] = {
    {"kind"},           {"apiVersion"},        {"message"}, {"reason"}, {"code"}, {"details"}, {"metadata", metadata},
    {"spec", pod_spec}, {"status", pod_status}};

Members members_of(Kind kind) {
  switch (kind) {
    case Kind::config_map:
      return config_map;
    case Kind::service:
      return service;
    case Kind::endpoint_slice:
      return endpoint_slice;
    case Kind::endpoints:
      return endpoints;
    case Kind::node:
      return node;
    case Kind::pod:
      return pod;
  }
  return {};
}

constexpr std::size_t deepest = 64;

// Builds the document of what is kept from the parser's events (nlohmann::json_sax).
class LeanBuilder {
 public:
  explicit LeanBuilder(Members members) : next_{members, false} {}

  [[nodiscard]] json take() { return std::move(root_); }

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(std::int64_t value) { return scalar(value); }
  bool number_unsigned(std::uint64_t value) { return scalar(value); }
  bool number_float(double value, const std::string&) { return scalar(value); }
  bool string(std::string& value) { return scalar(std::move(value)); }
  bool binary(json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open(json::value_t::object); }
  bool start_array(std::size_t) { return open(json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    if (skipped_depth_ > 0) return true;
    const Scope& scope = open_.back().scope;
    if (!scope.whole) {
      const Kept* kept = find(scope.members, name);
      drop_next_ = kept == nullptr;
      if (drop_next_) return true;
      next_ = {kept->children, kept->children.empty()};
    } else {
      next_ = scope;
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception&) { return false; }

 private:
  struct Scope {
    Members members;
    bool whole = false;  // all members are kept
  };
  struct Open {
    json* value;
    Scope scope;
  };

  static const Kept* find(Members members, std::string_view name) {
    for (const Kept& one : members) {
      if (one.name == name || (one.name.ends_with('/') && name.starts_with(one.name))) return &one;
    }
    return nullptr;
  }

  // The value's place in the document.
  json* place(json&& value) {
    if (open_.empty()) return &(root_ = std::move(value));
    json& parent = *open_.back().value;
    if (parent.is_array()) return &parent.emplace_back(std::move(value));
    return &(parent[key_] = std::move(value));
  }

  template <class T>
  bool scalar(T&& value) {
    if (skipped_depth_ == 0 && !std::exchange(drop_next_, false)) place(json(std::forward<T>(value)));
    return true;
  }

  bool open(json::value_t type) {
    if (skipped_depth_ > 0 || std::exchange(drop_next_, false)) {
      ++skipped_depth_;
      return true;
    }
    if (open_.size() == deepest) return false;
    const bool element = !open_.empty() && open_.back().value->is_array();
    const Scope scope = element ? open_.back().scope : next_;
    open_.push_back({place(json(type)), scope});
    return true;
  }

  bool close() {
    if (skipped_depth_ > 0) {
      --skipped_depth_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  json root_;
  std::vector<Open> open_;
  Scope next_;
  std::string key_;
  bool drop_next_ = false;
  std::size_t skipped_depth_ = 0;
};

std::optional<json> build(Members members, std::string_view text) {
  LeanBuilder builder(members);
  if (!json::sax_parse(text.begin(), text.end(), &builder)) return std::nullopt;
  return builder.take();
}

}  // namespace

std::optional<json> read_lean(Kind kind, std::string_view text) { return build(members_of(kind), text); }

std::optional<json> read_lean_event(Kind kind, std::string_view text) {
  const Kept event[] = {{"type"}, {"object", members_of(kind)}};
  return build(event, text);
}

}  // namespace vipkeeper::objects
