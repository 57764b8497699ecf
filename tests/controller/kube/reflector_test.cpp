#include "controller/kube/reflector.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/controller/kube/reflector_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace std::chrono_literals;

TEST_CASE("the first list is of any age and the watch begins where it ends", "[kube][reflector]") {
  Bench bench;
  const Step first = bench.start();
  REQUIRE(first.request);
  CHECK(first.request->target == "/api/v1/configmaps?fieldSelector=metadata.name%3Dx&limit=500&resourceVersion=0");
  CHECK_FALSE(bench.reflector.synced());
  const Step step = bench.answer(200, list_of({config_map("a", 5, "1"), config_map("b", 6, "1")}, "10"));
  CHECK(bench.take() == Told{"a=1", "b=1"});
  CHECK(bench.reflector.synced());
  REQUIRE(step.request);
  CHECK(step.request->watch);
  CHECK_THAT(step.request->target,
             Catch::StartsWith("/api/v1/configmaps?watch=1&allowWatchBookmarks=true&resourceVersion=10&"
                               "timeoutSeconds="));
  CHECK_THAT(step.request->target, Catch::EndsWith("&fieldSelector=metadata.name%3Dx"));
}

TEST_CASE("an empty list is synced", "[kube][reflector]") {
  Bench bench;
  bench.start();
  CHECK(has(bench.answer(200, list_of({}, "3")), "resourceVersion=3"));
  CHECK(bench.reflector.synced());
  CHECK(bench.take().empty());
}

TEST_CASE("a list and a watch cut at any byte tell the same", "[kube][reflector]") {
  const std::string list = list_of({config_map("a", 5, "\\\"}],["), config_map("b", 6, "ü\\\\")}, "10");
  const std::string events = event_line("MODIFIED", config_map("a", 11, "2")) + "\n" +
                             event_line("DELETED", config_map("b", 12, "x")) +
                             event_line("ADDED", config_map("c", 13, "3"));
  for (std::size_t cut = 1; cut <= 400; ++cut) {
    Bench bench;
    bench.start();
    const Step step = bench.answer(200, list, cut);
    REQUIRE(step.request);
    REQUIRE(bench.take() == Told{"a=\"}],[", "b=ü\\"});
    bench.give(Responded{200, {}});
    for (std::size_t at = 0; at < events.size(); at += cut)
      bench.give(Received{std::string_view(events).substr(at, cut)});
    REQUIRE(bench.take() == Told{"a=2", "b gone", "c=3"});
  }
}

TEST_CASE("many events in one piece are told in one step", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({}, "1");
  std::string events;
  for (int i = 0; i < 100; ++i) events += event_line("ADDED", config_map("o" + std::to_string(i), 2 + i, "1"));
  CHECK(bench.give(Received{events}).changes.size() == 100);
}

TEST_CASE("a watch that ended after a while goes on at the last version, without a list", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({config_map("a", 5, "1")}, "10");
  const std::string cut = event_line("MODIFIED", config_map("a", 12, "3"));
  SECTION("of an event") {
    bench.give(Received{event_line("MODIFIED", config_map("a", 11, "2"))});
    bench.now += 2s;
    CHECK(has(bench.give(Ended{}), "watch=1&allowWatchBookmarks=true&resourceVersion=11&"));
  }
  SECTION("of a bookmark") {
    bench.give(Received{bookmark("77")});
    bench.now += 2s;
    CHECK(has(bench.give(Ended{}), "resourceVersion=77&"));
  }
  SECTION("and drops the line that was cut") {
    bench.give(Received{cut.substr(0, cut.size() - 20)});
    bench.now += 2s;
    CHECK(has(bench.give(Ended{"connection reset"}), "resourceVersion=10&"));
    bench.give(Responded{200, {}});
    bench.take();
    bench.give(Received{cut});
    CHECK(bench.take() == Told{"a=3"});
  }
}

TEST_CASE("a watch that ends at once with nothing backs off and lists", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({}, "10");
  bench.now += 100ms;
  const Step step = bench.give(Ended{});
  REQUIRE(step.wait);
  CHECK(*step.wait >= 400ms);
  CHECK(*step.wait <= 800ms);
  const Step next = bench.give(WaitOver{});
  REQUIRE(next.request);
  CHECK_FALSE(next.request->watch);
  CHECK(has(next, "resourceVersion=10"));
}

TEST_CASE("watches that end at once with events go on at once, and with a pause when it goes on so",
          "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({}, "10");
  for (int i = 11; i <= 12; ++i) {
    bench.give(Received{bookmark(std::to_string(i))});
    bench.now += 100ms;
    REQUIRE(has(bench.give(Ended{}), "watch=1&allowWatchBookmarks=true&resourceVersion=" + std::to_string(i)));
    bench.give(Responded{200, {}});
  }
  bench.give(Received{bookmark("13")});
  CHECK(bench.give(Ended{}).wait);
  REQUIRE(has(bench.give(WaitOver{}), "watch=1&allowWatchBookmarks=true&resourceVersion=13&"));
  bench.give(Responded{200, {}});
  bench.now += 2s;
  REQUIRE(bench.give(Ended{}).request);
  bench.give(Responded{200, {}});
  bench.give(Received{bookmark("14")});
  CHECK(bench.give(Ended{}).request);
}

TEST_CASE("an expired version, told in either way, lists what is at least as new, and tells differences only",
          "[kube][reflector][410]") {
  Bench bench;
  bench.list_and_watch({config_map("a", 5, "1"), config_map("b", 6, "1"), config_map("c", 7, "1", "u1")}, "10");
  bench.take();
  Step step;
  SECTION("as an ERROR event") {
    step = bench.give(Received{event_line("ERROR", status_of(410, "Expired"))});
    CHECK(step.abort);
  }
  SECTION("as an ERROR event of an old server") {
    step = bench.give(Received{event_line("ERROR", status_of(0, "Gone"))});
    CHECK(step.abort);
  }
  SECTION("in HTTP") {
    bench.now += 2s;
    bench.give(Ended{});
    step = bench.answer(410, status_of(410, "Expired"));
  }
  REQUIRE(step.request);
  CHECK_FALSE(step.request->watch);
  CHECK(has(step, "resourceVersion=10"));
  // a is the same, b has changed, c was deleted and made anew, d is new; and then b is gone.
  const Step after = bench.answer(200, list_of({config_map("a", 5, "1"), config_map("b", 16, "2"),
                                                config_map("c", 17, "9", "u2"), config_map("d", 18, "1")},
                                               "20"));
  CHECK(bench.take() == Told{"b=2", "c gone", "c=9", "d=1"});
  CHECK(has(after, "resourceVersion=20"));
  bench.give(Responded{200, {}});
  bench.give(Received{bookmark("21")});
  bench.give(Received{event_line("ERROR", status_of(410, "Expired"))});
  bench.answer(200, list_of({config_map("a", 5, "1"), config_map("c", 17, "9", "u2"), config_map("d", 18, "1")}, "30"));
  CHECK(bench.take() == Told{"b gone"});
}

TEST_CASE("a server that calls every version expired is not asked in a tight loop", "[kube][reflector][410]") {
  Bench bench;
  bench.list_and_watch({}, "10");
  REQUIRE(bench.give(Received{event_line("ERROR", status_of(410, "Expired"))}).request);
  REQUIRE(bench.answer(200, list_of({}, "11")).request);
  bench.give(Responded{200, {}});
  const Step step = bench.give(Received{event_line("ERROR", status_of(410, "Expired"))});
  CHECK_FALSE(step.request);
  CHECK(step.wait);
}

TEST_CASE("a version that is expired or too new for a list falls back to the newest state, once",
          "[kube][reflector][410]") {
  struct Row {
    int status;
    std::string body;
  };
  const Row rows[] = {
      {410, status_of(410, "Expired")},
      {504,
       R"({"kind":"Status","reason":"Timeout","code":504,"message":"x","details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}})"},
      {504, status_of(504, "Timeout", "Too large resource version: 9, current: 3")},
  };
  for (const Row& row : rows) {
    INFO(row.body);
    Bench bench;
    bench.list_and_watch({}, "10");
    bench.give(Received{event_line("ERROR", status_of(410, "Expired"))});
    const Step step = bench.answer(row.status, row.body);
    REQUIRE(step.request);
    CHECK(step.request->target == "/api/v1/configmaps?fieldSelector=metadata.name%3Dx&limit=500");
    CHECK(bench.answer(row.status, row.body).wait);
  }
}

TEST_CASE("a list in pages counts when the last page has come", "[kube][reflector][paging]") {
  Bench bench;
  bench.start();
  const Step second = bench.answer(200, list_of({config_map("a", 5, "1")}, "10", "tok/1"));
  CHECK(bench.take().empty());
  REQUIRE(second.request);
  CHECK(second.request->target == "/api/v1/configmaps?fieldSelector=metadata.name%3Dx&limit=500&continue=tok%2F1");
  const Step third = bench.answer(200, list_of({}, "10", "tok2"));
  CHECK(has(third, "continue=tok2"));

  SECTION("and is told whole") {
    CHECK(has(bench.answer(200, list_of({config_map("b", 6, "1")}, "10")), "watch=1"));
    CHECK(bench.take() == Told{"a=1", "b=1"});
  }
  SECTION("and begins anew in one piece when a page has expired") {
    const Step whole = bench.answer(410, status_of(410, "Expired"));
    REQUIRE(whole.request);
    CHECK(whole.request->target == "/api/v1/configmaps?fieldSelector=metadata.name%3Dx&resourceVersion=0");
    bench.answer(200, list_of({config_map("c", 6, "1")}, "12"));
    CHECK(bench.take() == Told{"c=1"});
  }
  SECTION("and begins anew when the connection broke") {
    bench.give(Responded{200, {}});
    bench.give(Received{R"({"kind":"ConfigMapList","items":[)" + config_map("z", 1, "1")});
    CHECK(bench.give(Ended{"reset"}).server_gone);
    CHECK(has(bench.give(ServerAnswers{}), "resourceVersion=0"));
    bench.answer(200, list_of({config_map("c", 6, "1")}, "12"));
    CHECK(bench.take() == Told{"c=1"});
  }
}

TEST_CASE("nobody answers: wait for the server, then go on where it was; nothing is told",
          "[kube][reflector][outage]") {
  Bench bench;
  SECTION("before the first list") {
    bench.start();
    const Step step = bench.give(Ended{"connection refused"});
    REQUIRE(step.server_gone);
    CHECK(*step.server_gone == "connection refused");
    CHECK_FALSE(bench.reflector.synced());
    CHECK(has(bench.give(ServerAnswers{}), "resourceVersion=0"));
  }
  SECTION("when the watch is opened again") {
    bench.list_and_watch({config_map("a", 5, "1")}, "10");
    bench.take();
    bench.now += 60s;
    REQUIRE(bench.give(Ended{"reset"}).request);
    CHECK(bench.give(Ended{"connection refused"}).server_gone);
    CHECK(bench.reflector.synced());
    CHECK(has(bench.give(ServerAnswers{}), "watch=1&allowWatchBookmarks=true&resourceVersion=10&"));
    CHECK(bench.take().empty());
  }
}

TEST_CASE("answers that are errors back off, longer each time, never shorter than Retry-After",
          "[kube][reflector][errors]") {
  struct Row {
    int status;
    const char* body;
    const char* problem;
  };
  const Row rows[] = {
      {429, "too many requests, slow down", "list configmaps: 429 Too Many Requests: too many requests, slow down"},
      {500, "", "list configmaps: 500 Internal Server Error"},
      {503, R"({"kind":"Status","message":"apiserver not ready"})",
       "list configmaps: 503 Service Unavailable: apiserver not ready"},
      {403, R"({"kind":"Status","message":"configmaps is forbidden","code":403})",
       "configmaps is forbidden: give the ServiceAccount"},
      {404, "404 page not found\n", "list configmaps: 404 Not Found: 404 page not found"},
      {307, "", "Redirect (not followed"},
      {200, "no json at all", "list configmaps: the answer is no list"},
      {200, R"({"kind":"ConfigMapList","items":[{"metadata":{}},)", "list configmaps: the answer is no list"},
      {200, "[]", "list configmaps: the answer is no list"},
      // Greetings of something in between: an empty list would take everything away.
      {200, "{}", "list configmaps: the answer is no list"},
      {200, R"({"status":"ok","items":[]})", "list configmaps: the answer is no list"},
      {200, R"({"kind":"ConfigMapList","metadata":{"resourceVersion":"3"}})", "list configmaps: the answer is no list"},
      {200, R"({"kind":"ConfigMapList","metadata":{},"items":[]})", "list configmaps: the answer is no list"},
      {200, R"({"kind":"SecretList","metadata":{"resourceVersion":"3"},"items":[]})",
       "list configmaps: the answer is no list"},
  };
  for (const Row& row : rows) {
    INFO(row.status << row.body);
    Bench bench;
    bench.start();
    Duration least = 400ms;
    for (int i = 0; i < 10; ++i) {
      const Step step = bench.answer(row.status, row.body);
      REQUIRE(step.wait);
      CHECK(*step.wait >= least);
      CHECK(*step.wait <= 30s);
      CHECK_FALSE(step.server_gone);
      CHECK(step.token_refused == false);
      least = std::min<Duration>(2 * least, 15s);
      bench.now += *step.wait;
      REQUIRE(bench.give(WaitOver{}).request);
    }
    REQUIRE(bench.reflector.problems().size() == 1);
    CHECK_THAT(bench.reflector.problems()[0].message, Catch::Contains(row.problem));
    CHECK_FALSE(bench.reflector.synced());
    bench.answer(200, list_of({config_map("a", 1, "1")}, "2"));
    CHECK(bench.reflector.problems().empty());
    CHECK(bench.take() == Told{"a=1"});
  }
  Bench bench;
  bench.start();
  CHECK(*bench.answer(429, "slow down", 100, 17s).wait == 17s);
}

TEST_CASE("a refused token is told and the list tried again", "[kube][reflector][errors]") {
  Bench bench;
  bench.start();
  const Step step = bench.answer(401, status_of(401, "Unauthorized"));
  CHECK(step.token_refused);
  CHECK(step.wait);
  bench.give(WaitOver{});
  bench.answer(200, list_of({}, "2"));
  const Step watch = bench.answer(401, status_of(401, "Unauthorized"));
  CHECK(watch.token_refused);
  CHECK(has(bench.give(WaitOver{}), "watch=1"));
}

TEST_CASE("a watch that is refused keeps its version for 429 and lists for the rest", "[kube][reflector][errors]") {
  struct Row {
    int status;
    bool watches;
  };
  for (const Row& row : {Row{429, true}, Row{500, false}, Row{403, false}, Row{503, false}}) {
    INFO(row.status);
    Bench bench;
    bench.start();
    bench.answer(200, list_of({config_map("a", 1, "1")}, "10"));
    REQUIRE(bench.answer(row.status, "no").wait);
    CHECK(bench.reflector.problems().size() == 1);
    const Step step = bench.give(WaitOver{});
    REQUIRE(step.request);
    CHECK(step.request->watch == row.watches);
    CHECK(has(step, "resourceVersion=10"));
    CHECK(bench.take() == Told{"a=1"});
  }
}

TEST_CASE("errors and nonsense inside a watch back off and list, 429 watches again", "[kube][reflector][errors]") {
  struct Row {
    std::string line;
    bool watches;
  };
  const Row rows[] = {
      {event_line("ERROR", status_of(429, "TooManyRequests")), true},
      {event_line("ERROR", status_of(500, "InternalError")), false},
      {"not json\n", false},
      {"{\"kind\":\"Status\"}\n", false},
      {"[1,2]\n", false},
  };
  for (const Row& row : rows) {
    INFO(row.line);
    Bench bench;
    bench.list_and_watch({config_map("a", 1, "1")}, "10");
    bench.now += 5s;
    const Step step = bench.give(Received{event_line("MODIFIED", config_map("a", 11, "2")) + row.line +
                                          event_line("MODIFIED", config_map("a", 12, "3"))});
    CHECK(step.abort);
    CHECK(step.wait);
    CHECK(bench.take() == Told{"a=1", "a=2"});
    const Step next = bench.give(WaitOver{});
    REQUIRE(next.request);
    CHECK(next.request->watch == row.watches);
    CHECK(has(next, "resourceVersion=11"));
  }
}

TEST_CASE("unknown events and objects of other kinds are passed over", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({config_map("a", 1, "1")}, "10");
  bench.take();
  bench.give(Received{event_line("SURPRISE", config_map("a", 11, "9")) +
                      event_line("ADDED", R"({"kind":"Secret","metadata":{"name":"s","resourceVersion":"12"}})") +
                      event_line("ADDED", R"({"metadata":{}})") + event_line("MODIFIED", config_map("a", 13, "2"))});
  CHECK(bench.take() == Told{"a=2"});
  Counters counters;
  bench.reflector.count(counters);
  CHECK(counters["skipped.configmaps"] == 3);
  CHECK(counters["events.configmaps"] == 1);
}

TEST_CASE("an object that cannot be read keeps its last form, is a problem, and is not deleted", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({config_map("a", 1, "1")}, "10");
  bench.take();
  const std::string bad =
      R"({"metadata":{"name":"a","namespace":"default","uid":"u1","resourceVersion":"11"},"data":[1]})";
  bench.give(Received{event_line("MODIFIED", bad)});
  CHECK(bench.take().empty());
  REQUIRE(bench.reflector.problems().size() == 1);
  CHECK(bench.reflector.problems()[0].object == "ConfigMap default/a");
  CHECK_THAT(bench.reflector.problems()[0].message, Catch::Contains("data"));
  SECTION("not by a list that has it") {
    bench.give(Received{event_line("ERROR", status_of(410, "Expired"))});
    bench.answer(200, list_of({bad}, "20"));
    CHECK(bench.take().empty());
    CHECK(bench.reflector.problems().size() == 1);
  }
  SECTION("until it is good") {
    bench.give(Received{event_line("MODIFIED", config_map("a", 12, "3"))});
    CHECK(bench.take() == Told{"a=3"});
    CHECK(bench.reflector.problems().empty());
  }
  SECTION("or gone") {
    bench.give(Received{event_line("DELETED", bad)});
    CHECK(bench.take() == Told{"a gone"});
    CHECK(bench.reflector.problems().empty());
  }
}

TEST_CASE("events of an object that is as known are not told again", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({config_map("a", 5, "1")}, "10");
  bench.take();
  bench.give(
      Received{event_line("ADDED", config_map("a", 5, "1")) + event_line("DELETED", config_map("never", 6, "1"))});
  CHECK(bench.take().empty());
}

TEST_CASE("a line without an end is given up, not collected for ever", "[kube][reflector]") {
  Bench bench;
  bench.list_and_watch({}, "10");
  const std::string block(1024 * 1024, 'x');
  Step step;
  int blocks = 0;
  while (!step.abort && blocks < 100) {
    step = bench.give(Received{block});
    ++blocks;
  }
  CHECK(step.abort);
  CHECK(step.wait);
  CHECK(blocks < 40);
}

TEST_CASE("two minutes without an error start the backoff anew", "[kube][reflector]") {
  Bench bench;
  bench.start();
  for (int i = 0; i < 8; ++i) {
    bench.now += *bench.answer(500, "").wait;
    bench.give(WaitOver{});
  }
  bench.answer(200, list_of({}, "10"));
  bench.give(Responded{200, {}});
  bench.now += 3min;
  bench.give(Ended{});
  CHECK(*bench.answer(500, "").wait <= 800ms);
}
