#include "controller/loop/first_sync.h"

#include <catch2/catch.hpp>

using namespace vipkeeper;
using objects::Kind;
using objects::ObjectChange;

namespace {

objects::ObjectKey key(const std::string& name) { return {Kind::service, "default", name}; }

ObjectChange is(const std::string& name, const std::string& type = "ClusterIP") {
  objects::Service service;
  service.type = type;
  return {key(name), std::make_shared<const objects::Object>(std::move(service))};
}
ObjectChange gone(const std::string& name) { return {key(name), nullptr}; }

// "web ClusterIP", "web gone"
std::vector<std::string> shown(const std::vector<ObjectChange>& changes) {
  std::vector<std::string> result;
  for (const auto& change : changes) {
    result.push_back(change.key.name + " " +
                     (change.object ? std::get<objects::Service>(*change.object).type : std::string("gone")));
  }
  return result;
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("what a source tells before it has told everything is held, the newest of each object", "[loop][outage]") {
  loop::FirstSync first;
  first.hold({is("a"), is("b")});
  first.hold({is("a", "LoadBalancer"), gone("b"), is("c")});
  CHECK(shown(first.finish()) == Lines{"a LoadBalancer", "c ClusterIP"});
  CHECK(first.finish().empty());
}

TEST_CASE("what was in force and is not told is gone; nothing is removed and added again", "[loop][outage]") {
  loop::FirstSync first;
  first.hold({is("early")});
  first.in_force({is("a"), is("b"), is("c"), is("d")});
  first.hold({is("a"), is("b", "LoadBalancer"), is("d"), is("new")});
  first.hold({gone("d")});
  CHECK(shown(first.finish()) ==
        Lines{"c gone", "d gone", "a ClusterIP", "b LoadBalancer", "early ClusterIP", "new ClusterIP"});
}

TEST_CASE("the own pod of an earlier run stands for this one's", "[loop][outage]") {
  const ObjectChange pod = {{Kind::pod, "kube-system", "vipkeeper-old"},
                            std::make_shared<const objects::Object>(objects::Pod{.node_name = "node1"})};
  const auto own = loop::as_own({is("a"), pod}, "kube-system", "vipkeeper-new");
  CHECK(own[0].key == key("a"));
  CHECK(own[1].key.to_string() == "Pod kube-system/vipkeeper-new");
  CHECK(loop::as_own({pod}, "", "")[0].key == pod.key);
}
