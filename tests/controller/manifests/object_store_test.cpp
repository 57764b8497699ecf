#include "controller/manifests/object_store.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <variant>

using namespace vipkeeper;
using namespace vipkeeper::manifests;
using objects::ConfigMap;
using objects::ObjectChange;
using objects::ObjectKey;

namespace {

ObjectKey key(const std::string& name) { return {objects::Kind::config_map, "default", name}; }

ManifestObject object(const std::string& name, const std::string& value) {
  return {key(name), std::make_shared<const objects::Object>(ConfigMap{{{"v", value}}})};
}

// "NAME=VALUE" or "NAME gone" of each change.
std::vector<std::string> told(const std::vector<ObjectChange>& changes) {
  std::vector<std::string> lines;
  for (const ObjectChange& change : changes) {
    lines.push_back(change.object ? change.key.name + "=" + std::get<ConfigMap>(*change.object).data.at("v")
                                  : change.key.name + " gone");
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a file's objects are told when they come, change and go, and not when they are equal", "[manifests]") {
  ObjectStore store;
  CHECK(told(store.replace("a.yaml", {object("x", "1"), object("y", "1")})) == Lines{"x=1", "y=1"});
  CHECK(told(store.replace("a.yaml", {object("x", "1"), object("y", "2")})) == Lines{"y=2"});
  CHECK(told(store.replace("a.yaml", {object("y", "2"), object("z", "1")})) == Lines{"x gone", "z=1"});
  CHECK(told(store.remove("a.yaml")) == Lines{"y gone", "z gone"});
  CHECK(store.remove("a.yaml").empty());
}

TEST_CASE("of an object in several files the last file name stands, whatever the order of arrival", "[manifests]") {
  ObjectStore store;
  CHECK(told(store.replace("b.yaml", {object("x", "b")})) == Lines{"x=b"});
  CHECK(told(store.replace("a.yaml", {object("x", "a")})).empty());
  CHECK(told(store.replace("c.yaml", {object("x", "c")})) == Lines{"x=c"});
  REQUIRE(store.shadowed().size() == 1);
  CHECK(store.shadowed()[0].files == Lines{"a.yaml", "b.yaml", "c.yaml"});

  SECTION("the one under it comes to light when it goes") {
    CHECK(told(store.remove("c.yaml")) == Lines{"x=b"});
    CHECK(told(store.remove("b.yaml")) == Lines{"x=a"});
    CHECK(store.shadowed().empty());
    CHECK(told(store.remove("a.yaml")) == Lines{"x gone"});
  }
  SECTION("a change below it is not told") {
    CHECK(store.replace("a.yaml", {object("x", "other")}).empty());
    CHECK(told(store.remove("c.yaml")) == Lines{"x=b"});
    CHECK(told(store.remove("b.yaml")) == Lines{"x=other"});
  }
  SECTION("uncovering an equal object is no change") {
    CHECK(store.replace("b.yaml", {object("x", "c")}).empty());
    CHECK(store.remove("c.yaml").empty());
  }
}

TEST_CASE("what a file holds can be asked, covered or not", "[manifests]") {
  ObjectStore store;
  store.replace("a.yaml", {object("y", "a"), object("x", "a")});
  store.replace("b.yaml", {object("x", "b")});
  const auto held = store.objects_of("a.yaml");
  REQUIRE(held.size() == 2);
  CHECK(held[0].key.name == "x");
  CHECK(std::get<ConfigMap>(*held[0].object).data.at("v") == "a");
  CHECK(store.objects_of("none.yaml").empty());
}
