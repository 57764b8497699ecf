// Reading JSON with most of it left out.
//
// A real EndpointSlice is 300 bytes an endpoint, of which the plan reads the address and three flags; a third of a real
// object is managedFields, and a Node lists every image it has. Reading all that into documents would be nearly the
// whole cost of a large list. So simdjson reads the text, whole and strictly, in one buffer that is used again, and
// only members named below become part of a document.
//
// The tables below say what json.cpp reads. A member that is missing here is absent there: a test compares both ways of
// reading on objects that have everything.

#include "controller/objects/lean_json.h"

#include <simdjson.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

namespace vipkeeper::objects {

namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

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
constexpr Kept slice_endpoints[] = {
    {"addresses"}, {"conditions", conditions}, {"targetRef", target_reference}, {"nodeName"}};

constexpr Kept subset_address[] = {{"ip"}, {"targetRef", target_reference}, {"nodeName"}};
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

const Kept* find(Members members, std::string_view name) {
  for (const Kept& one : members) {
    if (one.name == name || (one.name.ends_with('/') && name.starts_with(one.name))) return &one;
  }
  return nullptr;
}

// False: nested too deep. No members: everything is kept.
bool copy(const dom::element& from, Members members, std::size_t depth, json& to) {
  if (depth > deepest) return false;
  if (dom::object object; from.get(object) == simdjson::SUCCESS) {
    auto& all = *(to = json::object()).get_ptr<json::object_t*>();
    for (const auto& [name, value] : object) {
      const Kept* const kept = members.empty() ? nullptr : find(members, name);
      if (!members.empty() && kept == nullptr) continue;
      // Of members that are named twice the last one counts, as for the API server.
      if (!copy(value, kept == nullptr ? Members() : kept->children, depth + 1, all[std::string(name)])) return false;
    }
    return true;
  }
  if (dom::array array; from.get(array) == simdjson::SUCCESS) {
    auto& all = *(to = json::array()).get_ptr<json::array_t*>();
    for (const dom::element value : array) {
      if (!copy(value, members, depth + 1, all.emplace_back())) return false;
    }
    return true;
  }
  if (std::string_view text; from.get(text) == simdjson::SUCCESS) {
    to = text;
  } else if (bool flag = false; from.get(flag) == simdjson::SUCCESS) {
    to = flag;
  } else if (std::uint64_t natural = 0; from.get(natural) == simdjson::SUCCESS) {
    to = natural;
  } else if (std::int64_t whole = 0; from.get(whole) == simdjson::SUCCESS) {
    to = whole;
  } else if (double number = 0; from.get(number) == simdjson::SUCCESS) {
    to = number;
  } else {
    to = nullptr;
  }
  return true;
}

}  // namespace

struct LeanReader::Parser {
  dom::parser parser;

  std::optional<json> read(Members members, std::string_view text) {
    dom::element document;
    if (parser.parse(text.data(), text.size()).get(document) != simdjson::SUCCESS) return std::nullopt;
    json result;
    if (!copy(document, members, 0, result)) return std::nullopt;
    return result;
  }
};

LeanReader::LeanReader() : parser_(std::make_unique<Parser>()) {}
LeanReader::~LeanReader() = default;

std::optional<json> LeanReader::read(Kind kind, std::string_view text) { return parser_->read(members_of(kind), text); }

std::optional<json> LeanReader::read_event(Kind kind, std::string_view text) {
  const Kept event[] = {{"type"}, {"object", members_of(kind)}};
  return parser_->read(event, text);
}

}  // namespace vipkeeper::objects
