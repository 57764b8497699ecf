#include "controller/report/event_series.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

using namespace vipkeeper;
using namespace vipkeeper::report;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

Notice notice(const std::string& note = "no Service", const std::string& name_space = "default") {
  return {
      .warning = true,
      .reason = "VipProblem",
      .action = "ServeVips",
      .note = note,
      .regarding = {.kind = "ConfigMap", .name_space = name_space, .name = "vips", .field_path = "data[10.0.0.50]"}};
}

// A series on virtual time, with the API server's side of it.
class Story {
 public:
  explicit Story(EventOptions options = {.instance = "node1"}) : series(std::move(options), 1) {}

  void pass(Duration time) { now += time; }
  [[nodiscard]] Moment at() const { return {start + now, WallTime(1'700'000'000s) + now}; }
  void observe(const Notice& what = notice()) { series.observe(at(), what); }

  // The request that is due now: "POST", "PATCH", "GET"; "" for none. `answer` goes back to it.
  std::string step(const ApiAnswer& answer = {.status = 201}) {
    const auto request = series.next(at());
    if (!request) return "";
    last = *request;
    series.answered(at(), answer);
    return request->method;
  }
  // What is due now with the look-ups answered by a uid.
  std::string step_after_look_up(const ApiAnswer& answer = {.status = 201}) {
    auto request = series.next(at());
    if (request && request->method == "GET") {
      series.answered(at(), {.status = 200, .text = R"({"metadata":{"uid":"u-1"}})"});
      request = series.next(at());
    }
    if (!request) return "";
    last = *request;
    series.answered(at(), answer);
    return request->method;
  }
  // All time up to the next deadline.
  bool pass_to_deadline() {
    const auto deadline = series.deadline();
    if (deadline) now = std::max(now, *deadline - start);
    return deadline.has_value();
  }
  [[nodiscard]] json body() const { return json::parse(last.body); }
  std::uint64_t counter(const std::string& name) const {
    status::Counters counters;
    series.count(counters);
    return counters.at(name);
  }

  TimePoint start{1000h};
  Duration now{};
  EventSeries series;
  ApiRequest last;
};

}  // namespace

TEST_CASE("the first time is a POST that the API server's validation takes", "[report][events][events-k8s-io-v1]") {
  Story story;
  story.observe();
  REQUIRE(story.step({.status = 200, .text = R"({"metadata":{"uid":"u-1"}})"}) == "GET");
  CHECK(story.last.target == "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dvips");
  CHECK(story.last.accept.starts_with("application/json;as=PartialObjectMetadataList;"));
  REQUIRE(story.step() == "POST");
  CHECK(story.last.target == "/apis/events.k8s.io/v1/namespaces/default/events");
  CHECK(story.last.content_type == "application/json");
  CHECK(story.body() == json::parse(R"({
    "apiVersion":"events.k8s.io/v1","kind":"Event",
    "metadata":{"name":"vips.17979cfe362a0000","namespace":"default"},
    "eventTime":"2023-11-14T22:13:20.000000Z","reportingController":"vipkeeper.io/vipkeeper",
    "reportingInstance":"node1","type":"Warning","reason":"VipProblem","action":"ServeVips",
    "regarding":{"apiVersion":"v1","kind":"ConfigMap","namespace":"default","name":"vips","uid":"u-1",
                 "fieldPath":"data[10.0.0.50]"},
    "note":"no Service"})"));
  CHECK(story.step() == "");
  CHECK(story.counter("events_written") == 1);
}

TEST_CASE("the second time is a PATCH of the series, later ones wait for the heartbeat", "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(story.step_after_look_up() == "POST");
  const std::string name = story.body()["metadata"]["name"];
  story.pass(1s);
  story.observe();
  REQUIRE(story.step({.status = 200}) == "PATCH");
  CHECK(story.last.target == "/apis/events.k8s.io/v1/namespaces/default/events/" + name);
  CHECK(story.last.content_type == "application/merge-patch+json");
  CHECK(story.body() == json::parse(R"({"series":{"count":2,"lastObservedTime":"2023-11-14T22:13:21.000000Z"}})"));
  for (int minute = 0; minute < 29; ++minute) {
    story.pass(1min);
    story.observe();
    CHECK(story.step() == "");
  }
  story.pass(1min);
  REQUIRE(story.step({.status = 200}) == "PATCH");
  CHECK(story.body()["series"]["count"] == 31);
  // The end: nothing new for six minutes, and the count is known.
  story.pass(6min);
  CHECK(story.step() == "");
  CHECK(story.series.size() == 0);
}

TEST_CASE("six minutes of silence write the final count and forget", "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(story.step_after_look_up() == "POST");
  story.observe();
  REQUIRE(story.step({.status = 200}) == "PATCH");
  story.pass(1min);
  story.observe();
  CHECK(story.step() == "");
  REQUIRE(story.pass_to_deadline());
  CHECK(story.now == 7min);
  REQUIRE(story.step({.status = 200}) == "PATCH");
  CHECK(story.body()["series"]["count"] == 3);
  story.pass_to_deadline();
  CHECK(story.step() == "");
  CHECK(story.series.size() == 0);
  CHECK_FALSE(story.series.deadline());
  // It is a new Event then.
  story.observe();
  CHECK(story.step_after_look_up() == "POST");
}

TEST_CASE("seen again before the POST was answered: the series follows at once", "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(story.step({.status = 404}) == "GET");
  const auto request = story.series.next(story.at());
  REQUIRE(request);
  REQUIRE(request->method == "POST");
  story.observe();
  CHECK_FALSE(story.series.next(story.at()));
  story.series.answered(story.at(), {.status = 201});
  REQUIRE(story.step({.status = 200}) == "PATCH");
  CHECK(story.body()["series"]["count"] == 2);
}

TEST_CASE("what stands keeps its Event alive by the heartbeat, and is forgotten six minutes after its end",
          "[report][events]") {
  Story story;
  story.series.stand(story.at(), notice());
  story.series.stand(story.at(), notice());
  REQUIRE(story.step_after_look_up() == "POST");
  CHECK_FALSE(story.body().contains("series"));
  for (std::uint64_t count = 2; count < 6; ++count) {
    story.pass(30min);
    REQUIRE(story.step({.status = 200}) == "PATCH");
    CHECK(story.body()["series"]["count"] == count);
    CHECK(story.step() == "");
  }
  // The server keeps Events for an hour only.
  story.pass(30min);
  REQUIRE(story.step({.status = 404}) == "PATCH");
  REQUIRE(story.step() == "POST");
  CHECK(story.body()["series"]["count"] == 6);
  story.series.withdraw(story.at(), notice());
  story.pass(5min);
  CHECK(story.step() == "");
  CHECK(story.series.size() == 1);
  // Back within that time: the same series.
  story.series.stand(story.at(), notice());
  story.pass(1min);
  CHECK(story.step() == "");
  story.series.withdraw(story.at(), notice());
  story.pass(6min);
  REQUIRE(story.step({.status = 200}) == "PATCH");
  CHECK(story.body()["series"]["count"] == 7);
  story.step();
  CHECK(story.series.size() == 0);
}

TEST_CASE("an Event of a cluster's object is in the namespace default", "[report][events]") {
  Story story;
  auto of_node = notice();
  of_node.regarding = {.kind = "Node", .name = "node1"};
  story.observe(of_node);
  REQUIRE(story.step({.status = 200, .text = R"({"items":[{"metadata":{"uid":"n-1"}}]})"}) == "GET");
  CHECK(story.last.target == "/api/v1/nodes?fieldSelector=metadata.name%3Dnode1");
  REQUIRE(story.step() == "POST");
  CHECK(story.last.target == "/apis/events.k8s.io/v1/namespaces/default/events");
  CHECK(story.body()["metadata"]["namespace"] == "default");
  CHECK(story.body()["regarding"] == json::parse(R"({"apiVersion":"v1","kind":"Node","name":"node1","uid":"n-1"})"));
}

TEST_CASE("the own pod is looked up by its name, which is all that its right allows", "[report][events]") {
  Story story;
  auto of_pod = notice();
  of_pod.regarding = {.kind = "Pod", .name_space = "kube-system", .name = "vipkeeper-x"};
  story.observe(of_pod);
  REQUIRE(story.step({.status = 200, .text = R"({"metadata":{"uid":"p-1"}})"}) == "GET");
  CHECK(story.last.target == "/api/v1/namespaces/kube-system/pods/vipkeeper-x");
  CHECK(story.last.accept.starts_with("application/json;as=PartialObjectMetadata;"));
  REQUIRE(story.step() == "POST");
  CHECK(story.body()["regarding"]["uid"] == "p-1");
}

TEST_CASE("an object that is not there, or says no uid, is written about all the same", "[report][events]") {
  for (const char* answer : {R"({"items":[]})", R"({"items":7})", R"({"metadata":[]})", R"({"metadata":{"uid":1}})",
                             "[1]", "not JSON", ""}) {
    INFO(answer);
    Story story;
    story.observe();
    REQUIRE(story.step({.status = 200, .text = answer}) == "GET");
    REQUIRE(story.step() == "POST");
    CHECK_FALSE(story.body()["regarding"].contains("uid"));
  }
}

TEST_CASE("only what the transport loses is tried again, twelve times, ten seconds and a bit apart",
          "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(story.step({.status = 404}) == "GET");
  int tries = 0;
  while (story.series.size() == 1) {
    const auto method = story.step({.status = 0, .text = "Broken pipe"});
    if (method.empty()) {
      const Duration before = story.now;
      REQUIRE(story.pass_to_deadline());
      CHECK(story.now - before >= 10s);
      CHECK(story.now - before <= 12500ms);
      continue;
    }
    CHECK(method == "POST");
    ++tries;
  }
  CHECK(tries == 12);
  CHECK(story.counter("events_dropped") == 1);
}

TEST_CASE("what the API server rejects is dropped", "[report][events]") {
  for (const int status : {400, 404, 405, 422, 500, 503}) {
    INFO(status);
    Story story;
    story.observe();
    REQUIRE(story.step_after_look_up({.status = status, .text = "no"}) == "POST");
    CHECK(story.series.size() == 0);
    CHECK(story.counter("events_rejected") == 1);
    CHECK(story.series.problems().empty());
  }
}

TEST_CASE("a server that asks for patience gets it", "[report][events]") {
  for (const int status : {429, 503}) {
    INFO(status);
    Story story;
    story.observe();
    REQUIRE(story.step_after_look_up({.status = status, .text = "slow down", .retry_after = 30s}) == "POST");
    CHECK(story.step() == "");
    REQUIRE(story.pass_to_deadline());
    CHECK(story.now == 30s);
    CHECK(story.step() == "POST");
  }
}

TEST_CASE("409 to a POST means that an earlier try got there", "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(story.step_after_look_up({.status = 409}) == "POST");
  CHECK(story.step() == "");
  story.observe();
  CHECK(story.step({.status = 200}) == "PATCH");
}

TEST_CASE("403 closes the namespace for ten minutes, is said once, and a right that was granted takes effect",
          "[report][events]") {
  Story story;
  const std::string no = R"({"kind":"Status","message":"events.events.k8s.io is forbidden"})";
  story.series.stand(story.at(), notice("one"));
  story.series.stand(story.at(), notice("two"));
  REQUIRE(story.step_after_look_up({.status = 403, .text = no}) == "POST");
  CHECK(story.step() == "");
  const auto problems = story.series.problems();
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].object == "API server");
  CHECK(
      problems[0].message ==
      "Events are not written in default: create and patch of events.k8s.io events is forbidden (events.events.k8s.io "
      "is forbidden); done without: apply the rule of rbac/, or leave it out if that is meant; tried again every 10 "
      "minutes");
  // Another namespace may be open.
  story.observe(notice("elsewhere", "other"));
  CHECK(story.step_after_look_up() == "POST");
  REQUIRE(story.pass_to_deadline());
  story.pass(10min);
  REQUIRE(story.step_after_look_up({.status = 403, .text = no}) == "POST");
  CHECK(story.step() == "");
  CHECK(story.series.problems() == problems);
  story.pass(10min);
  CHECK(story.step_after_look_up() == "POST");
  CHECK(story.step_after_look_up() == "POST");
  CHECK(story.series.problems().empty());
}

TEST_CASE("what happened in a closed namespace is forgotten, not stored up", "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(story.step_after_look_up({.status = 403, .text = "no"}) == "POST");
  REQUIRE(story.pass_to_deadline());
  CHECK(story.step() == "");
  CHECK(story.series.size() == 0);
  CHECK(story.counter("events_dropped") == 1);
}

TEST_CASE("a namespace on its way out is no missing right", "[report][events]") {
  Story story;
  story.observe();
  REQUIRE(
      story.step_after_look_up(
          {.status = 403,
           .text = R"({"message":"unable to create new content in namespace x because it is being terminated"})"}) ==
      "POST");
  CHECK(story.series.problems().empty());
  CHECK(story.series.size() == 0);
}

TEST_CASE("more than fits is dropped and counted", "[report][events]") {
  Story story({.instance = "node1", .most = 10});
  for (int i = 0; i < 25; ++i) story.observe(notice(std::to_string(i)));
  CHECK(story.series.size() == 10);
  CHECK(story.counter("events_dropped") == 15);
  story.observe(notice("3"));
  CHECK(story.counter("events_dropped") == 15);
}

TEST_CASE("a note is at most 1 kB, whole characters of UTF-8", "[report][events]") {
  Story story;
  std::string note(1023, 'a');
  note += "\xc3\xa4\xc3\xa4";
  story.observe(notice(note));
  REQUIRE(story.step_after_look_up() == "POST");
  CHECK(story.body()["note"] == std::string(1023, 'a'));
  story.observe(notice("\xff"));
  CHECK(story.step_after_look_up() == "POST");
}

TEST_CASE("names of Events differ even at one moment, and fit into a name of Kubernetes", "[report][events]") {
  Story story;
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) {
    auto long_named = notice(std::to_string(i));
    long_named.regarding.name = std::string(253, 'x');
    story.observe(long_named);
    REQUIRE(story.step_after_look_up() == "POST");
    const std::string name = story.body()["metadata"]["name"];
    CHECK(name.size() <= 253);
    names.insert(name);
  }
  CHECK(names.size() == 20);
}

TEST_CASE("whatever happens, a deadline is kept: no request is due that is not given, and time goes on",
          "[report][events][law]") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    std::minstd_rand random(seed);
    const auto below = [&](unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random); };
    Story story({.instance = "node1", .most = 5});
    const int statuses[] = {0, 200, 201, 401, 403, 404, 409, 422, 429, 500, 503};
    for (int number = 0; number < 300; ++number) {
      const auto what = notice(std::to_string(below(7)), below(2) == 0 ? "default" : "other");
      switch (below(6)) {
        case 0:
          story.series.stand(story.at(), what);
          break;
        case 1:
          story.series.withdraw(story.at(), what);
          break;
        case 2:
          story.observe(what);
          break;
        case 3:
          story.pass(std::chrono::seconds(below(900)));
          break;
        default:
          story.pass_to_deadline();
          break;
      }
      // What is due is given out, one after the other, and then the next deadline lies ahead.
      int requests = 0;
      while (!story.step({.status = statuses[below(11)], .text = "no"}).empty()) REQUIRE(++requests < 100);
      if (const auto deadline = story.series.deadline()) CHECK(*deadline > story.at().now);
      CHECK(story.series.size() <= 5);
    }
  }
}
