#include "controller/manifests/manifest.h"

#include <catch2/catch.hpp>
#include <string>
#include <variant>

using namespace vipkeeper;
using namespace vipkeeper::manifests;
using objects::Kind;
using objects::ObjectKey;

namespace {

std::string config_map(const std::string& name, const std::string& data = "a: b") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  " + data + "\n";
}

std::vector<ObjectKey> keys_of(const Manifest& manifest) {
  std::vector<ObjectKey> keys;
  for (const ManifestObject& object : manifest.objects) keys.push_back(object.key);
  return keys;
}

}  // namespace

TEST_CASE("a manifest without a namespace means default, a Node has none", "[manifests]") {
  const Manifest manifest = parse_manifest(config_map("one") + "---\n" + config_map("two\n  namespace: kube-system") +
                                               "---\napiVersion: v1\nkind: Node\nmetadata: {name: node1}\n",
                                           false);
  CHECK(manifest.problems.empty());
  CHECK(keys_of(manifest) == std::vector<ObjectKey>{{Kind::config_map, "default", "one"},
                                                    {Kind::config_map, "kube-system", "two"},
                                                    {Kind::node, "", "node1"}});
}

TEST_CASE("kinds that the plan does not read are passed over", "[manifests]") {
  const Manifest manifest =
      parse_manifest("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\n" + config_map("one"), false);
  CHECK(manifest.problems.empty());
  CHECK(keys_of(manifest) == std::vector<ObjectKey>{{Kind::config_map, "default", "one"}});
}

TEST_CASE("lists of all kinds and of one kind are read", "[manifests]") {
  const std::string items = "items:\n- metadata: {name: one}\n- metadata: {name: two}\n";
  const Manifest of_one_kind = parse_manifest("apiVersion: v1\nkind: ConfigMapList\n" + items, false);
  CHECK(of_one_kind.problems.empty());
  CHECK(of_one_kind.objects.size() == 2);

  const Manifest mixed = parse_manifest(
      R"({"apiVersion": "v1", "kind": "List", "items": [
           {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}},
           {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}},
           {"apiVersion": "v1", "kind": "List", "items": [
              {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inner"}}]}]})",
      true);
  CHECK(mixed.problems.empty());
  CHECK(mixed.objects.size() == 3);

  const Manifest without_kind = parse_manifest("apiVersion: v1\nkind: List\n" + items, false);
  REQUIRE(without_kind.problems.size() == 2);
  CHECK(without_kind.problems[1].line == 5);
  CHECK(parse_manifest("apiVersion: v1\nkind: List\nitems: []\n", false).problems.empty());
  CHECK(parse_manifest("apiVersion: v1\nkind: List\nitems:\n", false).problems.empty());
}

TEST_CASE("of an object written twice in a file the last one stands, with a warning", "[manifests]") {
  const Manifest manifest =
      parse_manifest(config_map("one", "v: first") + "---\n" + config_map("one", "v: last"), false);
  REQUIRE(manifest.objects.size() == 1);
  CHECK(std::get<objects::ConfigMap>(*manifest.objects[0].object).data.at("v") == "last");
  CHECK_FALSE(manifest.incomplete);
  REQUIRE(manifest.problems.size() == 1);
  CHECK_FALSE(manifest.problems[0].error);
  CHECK_THAT(manifest.problems[0].message, Catch::Contains("ConfigMap default/one is written again at line 8"));
}

TEST_CASE("a bad document is reported with its line and leaves the others", "[manifests]") {
  struct Row {
    const char* document;
    std::size_t line;  // within the document
    const char* message;
  };
  const Row rows[] = {
      {"just text\n", 1, "no object"},
      {"- a\n- b\n", 1, "no object"},
      {"metadata: {name: x}\n", 1, "kind: missing"},
      {"kind: 7\n", 1, "kind: missing or no text"},
      {"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - port: 80\n  - name: x\n    port: "
       "70000\n",
       8, "spec.ports[1].port"},
      {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: web\n  spec:\n   "
       " ports:\n"
       "    - port: 0\n",
       10, "spec.ports[0].port"},
      {"apiVersion: v1\nkind: List\nitems: 5\n", 3, "items: expected a list"},
      {"apiVersion: v1\nkind: List\nitems:\n- 5\n", 4, "items[0]: expected an object"},
  };
  const std::string before = config_map("before") + "---\n";
  for (const Row& row : rows) {
    INFO(row.document);
    const Manifest manifest = parse_manifest(before + row.document + "---\n" + config_map("after"), false);
    CHECK(manifest.objects.size() == 2);
    CHECK(manifest.incomplete);
    CHECK_FALSE(manifest.unreadable);
    REQUIRE(manifest.problems.size() == 1);
    CHECK(manifest.problems[0].error);
    CHECK(manifest.problems[0].line == 7 + row.line);
    CHECK_THAT(manifest.problems[0].message, Catch::Contains(row.message));
  }
}

TEST_CASE("a file cut in the middle is unreadable as a whole", "[manifests]") {
  const Manifest manifest =
      parse_manifest(config_map("one") + "---\napiVersion: v1\nkind: Service\nspec: {ports: [{po", false);
  CHECK(manifest.unreadable);
  CHECK(manifest.objects.empty());
  REQUIRE(manifest.problems.size() == 1);
  CHECK_THAT(manifest.problems[0].message, Catch::StartsWith("not readable as YAML: "));
}
