#include "controller/objects/lean_json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "controller/objects/json.h"

using namespace vipkeeper;
using namespace vipkeeper::objects;
using nlohmann::json;

namespace {

// Objects that have every member the plan reads, and many that it does not.
const std::string managed_fields =
    R"("managedFields":[{"manager":"kubectl","fieldsV1":{"f:metadata":{"f:annotations":{".":{}}},"f:spec":{}}}])";

std::string metadata(const std::string& more = "") {
  return R"({"name":"web","namespace":"shop","uid":"6c1e","resourceVersion":"71","generation":3,)"
         R"("creationTimestamp":"2026-01-01T00:00:00Z","ownerReferences":[{"kind":"X","name":"web","uid":"2"}],)"
         R"("annotations":{"vipkeeper.io/scheduler":"mh","kubectl.kubernetes.io/last-applied-configuration":"{}"},)" +
         managed_fields + more + "}";
}

struct Row {
  Kind kind;
  std::string text;
};

std::vector<Row> full_objects() {
  const std::string service_metadata = metadata(R"(,"labels":{"app":"web"})");
  const std::string slice_metadata = metadata(R"(,"labels":{"kubernetes.io/service-name":"web","app":"web"})");
  return {
      {Kind::config_map, R"({"kind":"ConfigMap","apiVersion":"v1","metadata":)" + metadata() +
                             R"(,"data":{"192.0.2.50":"shop/web","x/y.z":""},"binaryData":{"b":"AA=="}})"},
      {Kind::service,
       R"({"metadata":)" + service_metadata +
           R"(,"spec":{"type":"LoadBalancer","loadBalancerClass":"vipkeeper.io/vip","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00::9"],)"
           R"("externalIPs":["198.51.100.1"],"loadBalancerIP":"198.51.100.2","selector":{"app":"web"},)"
           R"("ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":"web","nodePort":30080,"appProtocol":"h"},)"
           R"({"name":"dns","protocol":"UDP","port":53,"targetPort":5353}],"sessionAffinity":"ClientIP",)"
           R"("sessionAffinityConfig":{"clientIP":{"timeoutSeconds":90}},"publishNotReadyAddresses":true,)"
           R"("ipFamilies":["IPv4","IPv6"]},"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.3","ports":[],"ipMode":"VIP"},)"
           R"({"hostname":"a.example"}]},)"
           R"("conditions":[{"type":"x"}]}})"},
      {Kind::endpoint_slice,
       R"({"metadata":)" + slice_metadata +
           R"(,"addressType":"IPv4","endpoints":[{"addresses":["10.2.0.5","10.2.0.6"],"conditions":{"ready":false,)"
           R"("serving":true,"terminating":true},"nodeName":"n1","zone":"z","hints":{"forZones":[{"name":"z"}]},)"
           R"("targetRef":{"kind":"Pod","name":"web-1","namespace":"shop","uid":"9"}},{"addresses":["10.2.0.7"],)"
           R"("conditions":{"ready":null},"deprecatedTopology":{"a":"b"}}],)"
           R"("ports":[{"name":"http","port":8080,"protocol":"TCP","appProtocol":"x"},{"name":"","port":null}]})"},
      {Kind::endpoints,
       R"({"metadata":)" + service_metadata +
           R"(,"subsets":[{"addresses":[{"ip":"10.2.0.5","nodeName":"n","targetRef":{"kind":"Pod","name":"p"}}],)"
           R"("notReadyAddresses":[{"ip":"fd00::5","hostname":"h"}],"ports":[{"name":"http","port":8080}]}]})"},
      {Kind::node,
       R"({"metadata":)" + metadata(R"(,"labels":{"zone":"z","a.b/c":"d"})") +
           R"(,"spec":{"podCIDR":"10.2.0.0/24","podCIDRs":["10.2.0.0/24","fd01::/64"],"taints":[{"key":"k"}]},)"
           R"("status":{"addresses":[{"type":"InternalIP","address":"192.0.2.11"},{"type":"ExternalIP",)"
           R"("address":"203.0.113.1"},{"type":"Hostname","address":"n"}],"images":[{"names":["a","b"]}],)"
           R"("conditions":[{"type":"Ready"}]}})"},
      {Kind::pod,
       R"({"metadata":)" + metadata() +
           R"(,"spec":{"nodeName":"n1","nodeSelector":{"vip":"yes"},"containers":[{"name":"c"}]},)"
           R"("status":{"podIP":"10.2.0.5","podIPs":[{"ip":"10.2.0.5"},{"ip":"fd00::5"}],"phase":"Running"}})"},
  };
}

}  // namespace

TEST_CASE("an object read lean is the object read whole, and less text", "[objects][lean]") {
  for (const Row& row : full_objects()) {
    INFO(row.text);
    const json whole = json::parse(row.text);
    const auto lean = LeanReader().read(row.kind, row.text);
    REQUIRE(lean);
    const auto one = parse_object(row.kind, whole);
    const auto other = parse_object(row.kind, *lean);
    REQUIRE(one);
    REQUIRE(other);
    CHECK(one->key == other->key);
    CHECK(one->uid == other->uid);
    CHECK(one->resource_version == other->resource_version);
    CHECK(one->object == other->object);
    CHECK(lean->dump().find("managedFields") == std::string::npos);
    CHECK(lean->dump().size() < row.text.size() * 2 / 3);

    const auto event = LeanReader().read_event(row.kind, R"({"type":"ADDED","object":)" + row.text + R"(,"more":[1]})");
    REQUIRE(event);
    CHECK(*event == json{{"type", "ADDED"}, {"object", *lean}});
  }
}

// So that a member which json.cpp comes to read and the tables here do not have is found: whatever is taken from a full
// object makes a difference in both ways of reading, or in neither.
TEST_CASE("every member that makes a difference when read whole makes it when read lean", "[objects][lean]") {
  std::size_t differences = 0;
  for (const Row& row : full_objects()) {
    const json whole = json::parse(row.text);
    const json leaves = whole.flatten();
    for (const auto& [path, value] : leaves.items()) {
      json changed = whole;
      // Not null: absent, for members that are read with their type.
      changed[json::json_pointer(path)] = value.is_string() ? json("192.0.2.99") : json();
      const auto one = parse_object(row.kind, changed);
      const auto lean = LeanReader().read(row.kind, changed.dump());
      REQUIRE(lean);
      const auto other = parse_object(row.kind, *lean);
      INFO(path);
      REQUIRE(one.has_value() == other.has_value());
      if (one) CHECK(one->object == other->object);
      if (!one) CHECK(one.error().message == other.error().message);
      if (!one || !(one->object == parse_object(row.kind, whole)->object)) ++differences;
    }
  }
  CHECK(differences > 40);
}

TEST_CASE("a Status and the bookmark at a list's end are kept", "[objects][lean]") {
  const std::string status =
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"m","reason":"Expired",)"
      R"("details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1},"code":410})";
  const std::string bookmark =
      R"({"kind":"Service","metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}})";
  for (const Row& row : full_objects()) {
    const auto error = LeanReader().read_event(row.kind, R"({"type":"ERROR","object":)" + status + "}");
    REQUIRE(error);
    for (const char* name : {"kind", "message", "reason", "details", "code"}) {
      CHECK((*error)["object"][name] == json::parse(status)[name]);
    }
    CHECK(LeanReader().read(row.kind, bookmark)->at("metadata").at("annotations").at("k8s.io/initial-events-end") ==
          "true");
  }
}

TEST_CASE("what is no JSON, or nested without end, is refused", "[objects][lean]") {
  const std::string deep = R"({"metadata":)" + std::string(100000, '[');
  const std::string bad[] = {"",
                             "{",
                             "{}x",
                             R"({"a":1,})",
                             "\xff",
                             R"({"metadata":{"managedFields":[)",
                             R"({"data":)" + std::string(100, '[') + std::string(100, ']') + "}",
                             deep,
                             R"({"metadata":{"name":"\ud800"}})"};
  for (const std::string& text : bad) {
    INFO(text.substr(0, 50));
    CHECK_FALSE(LeanReader().read(Kind::config_map, text));
  }
  // What is passed over may be deeper than what is kept.
  CHECK(LeanReader().read(Kind::config_map, R"({"x":)" + std::string(1000, '[') + std::string(1000, ']') + "}"));
  CHECK(LeanReader().read(Kind::config_map, "17") == json(17));
  CHECK(LeanReader().read(Kind::config_map, R"([{"data":{"a":"b"},"x":1}])") == json::parse(R"([{"data":{"a":"b"}}])"));
}

TEST_CASE("of members named twice the last one counts, as for the API server", "[objects][lean]") {
  const std::string text = R"({"data":{"a":"1","a":"2"},"data":{"b":"3"},"metadata":{"x":1},"metadata":{"name":"n"}})";
  CHECK(*LeanReader().read(Kind::config_map, text) == json::parse(R"({"data":{"b":"3"},"metadata":{"name":"n"}})"));
}
