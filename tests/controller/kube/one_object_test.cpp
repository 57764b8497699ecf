#include "controller/kube/one_object.h"

#include <catch2/catch.hpp>

using namespace vipkeeper;
using namespace vipkeeper::kube;

namespace {

const objects::ObjectKey own_pod{objects::Kind::pod, "kube-system", "vip-1"};
const TimePoint now{std::chrono::seconds(1000)};

Step answer(OneObject& object, int status, const std::string& body) {
  object.handle(now, Responded{status, {}});
  object.handle(now, Received{body});
  return object.handle(now, Ended{});
}

}  // namespace

TEST_CASE("the own Pod is read once", "[kube][pod]") {
  OneObject pod(own_pod, "/api/v1/namespaces/kube-system/pods/vip-1", 1);
  CHECK(pod.start(now).request->target == "/api/v1/namespaces/kube-system/pods/vip-1");
  const Step step = answer(pod, 200,
                           R"({"kind":"Pod","metadata":{"name":"vip-1","namespace":"kube-system"},
                               "spec":{"nodeName":"node1","nodeSelector":{"type":"worker"}}})");
  REQUIRE(step.changes.size() == 1);
  CHECK(step.changes[0].key == own_pod);
  CHECK(std::get<objects::Pod>(*step.changes[0].object).node_name == "node1");
  CHECK(pod.synced());
  CHECK_FALSE(step.request);
  CHECK_FALSE(step.wait);
}

TEST_CASE("a Pod that is absent, forbidden or odd is a warning and no reason to wait", "[kube][pod]") {
  struct Row {
    int status;
    const char* body;
  };
  for (const Row& row :
       {Row{404, "{}"}, Row{403, "no"}, Row{200, "not json"}, Row{200, R"({"spec":{"nodeName":5}})"}}) {
    INFO(row.status << " " << row.body);
    OneObject pod(own_pod, "/p", 1);
    pod.start(now);
    const Step step = answer(pod, row.status, row.body);
    CHECK(pod.synced());
    CHECK(step.changes.empty());
    CHECK_FALSE(step.wait);
    REQUIRE(pod.problems().size() == 1);
    CHECK_FALSE(pod.problems()[0].error);
  }
}

TEST_CASE("a Pod is asked for again while the server errs or is gone", "[kube][pod]") {
  OneObject pod(own_pod, "/p", 1);
  pod.start(now);
  CHECK(answer(pod, 503, "").wait);
  CHECK_FALSE(pod.synced());
  CHECK(pod.handle(now, WaitOver{}).request);
  CHECK(pod.handle(now, Ended{"refused"}).server_gone == "refused");
  CHECK(pod.handle(now, ServerAnswers{}).request);
  CHECK(answer(pod, 401, "").token_refused);
}
