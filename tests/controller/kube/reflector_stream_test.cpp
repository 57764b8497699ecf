#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "controller/kube/reflector.h"
#include "tests/controller/kube/reflector_bench.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace std::chrono_literals;

namespace {

Resource streamed() {
  Resource resource = config_maps;
  resource.streamed = true;
  return resource;
}

std::string end_bookmark(const std::string& version, const std::string& value = "true") {
  return event_line("BOOKMARK", R"({"kind":"ConfigMap","metadata":{"resourceVersion":")" + version +
                                    R"(","annotations":{"k8s.io/initial-events-end":")" + value + R"("}}})");
}

const std::string stream_target =
    "/api/v1/configmaps?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
    "resourceVersion=";

bool streams_from(const Step& step, const std::string& version) {
  return step.request && step.request->watch && step.request->target.starts_with(stream_target + version + "&");
}

bool lists(const Step& step) { return step.request && !step.request->watch; }

const std::string invalid = status_of(422, "Invalid", "sendInitialEvents is forbidden");

}  // namespace

TEST_CASE("a streamed list counts when the bookmark at its end has come, and goes on as a watch",
          "[kube][reflector][watchlist]") {
  Bench bench(streamed());
  const Step first = bench.start();
  REQUIRE(streams_from(first, ""));
  CHECK_THAT(first.request->target, Catch::Contains("&timeoutSeconds="));
  CHECK_THAT(first.request->target, Catch::EndsWith("&fieldSelector=metadata.name%3Dx"));
  CHECK(first.wait == std::optional<Duration>(10s));
  bench.give(Responded{200, {}});
  // In no order of versions, with changes in between and other bookmarks.
  const std::string events =
      event_line("ADDED", config_map("b", 9, "1")) + event_line("ADDED", config_map("a", 5, "1")) +
      event_line("ADDED", config_map("c", 7, "1")) + bookmark("8") + end_bookmark("8", "false") +
      event_line("MODIFIED", config_map("a", 12, "2")) + event_line("DELETED", config_map("c", 13, "1"));
  for (const char byte : events) REQUIRE(bench.give(Received{{&byte, 1}}).changes.empty());
  CHECK_FALSE(bench.reflector.synced());
  bench.give(Received{end_bookmark("14") + event_line("MODIFIED", config_map("b", 15, "3"))});
  CHECK(bench.reflector.synced());
  CHECK(bench.take() == Told{"a=2", "b=1", "b=3"});
  bench.give(Received{event_line("DELETED", config_map("a", 16, "2"))});
  CHECK(bench.take() == Told{"a gone"});
  bench.now += 60s;
  CHECK(has(bench.give(Ended{}), "watch=1&allowWatchBookmarks=true&resourceVersion=16&"));
}

TEST_CASE("a streamed list after an expired version begins at the last one and tells differences only",
          "[kube][reflector][watchlist][410]") {
  Bench bench(streamed());
  bench.start();
  bench.give(Responded{200, {}});
  bench.give(Received{event_line("ADDED", config_map("a", 5, "1")) + event_line("ADDED", config_map("b", 6, "1")) +
                      end_bookmark("10")});
  bench.take();
  REQUIRE(streams_from(bench.give(Received{event_line("ERROR", status_of(410, "Expired"))}), "10"));
  bench.give(Responded{200, {}});
  SECTION("when it comes") {
    bench.give(Received{event_line("ADDED", config_map("a", 5, "1")) + event_line("ADDED", config_map("c", 20, "1"))});
    CHECK(bench.take().empty());
    CHECK(bench.reflector.synced());
    bench.give(Received{end_bookmark("21")});
    CHECK(bench.take() == Told{"c=1", "b gone"});
  }
  SECTION("and at any once the last one is too old, or too new, for that as well") {
    const std::string causes = R"({"kind":"Status","reason":"Timeout","code":504,"message":"x","details":{"causes":)"
                               R"([{"reason":"ResourceVersionTooLarge"}]}})";
    const std::string status = GENERATE_COPY(status_of(410, "Expired"), causes);
    REQUIRE(streams_from(bench.give(Received{event_line("ERROR", status)}), ""));
    bench.give(Responded{200, {}});
    CHECK(bench.give(Received{event_line("ERROR", status)}).wait);
    CHECK(bench.take().empty());
  }
}

TEST_CASE("a server that does not stream lists is asked for pages at once", "[kube][reflector][watchlist]") {
  Bench bench(streamed());
  bench.start();
  Step step;
  SECTION("it says Invalid") { step = bench.answer(422, invalid); }
  SECTION("it says Forbidden") { step = bench.answer(403, status_of(403, "Forbidden")); }
  SECTION("it fails without a Retry-After") { step = bench.answer(500, "no"); }
  SECTION("it says InternalError in the stream") {
    bench.give(Responded{200, {}});
    bench.give(Received{event_line("ADDED", config_map("z", 5, "1"))});
    step = bench.give(Received{event_line("ERROR", status_of(500, "InternalError", "etcd is too old"))});
    CHECK(step.abort);
  }
  SECTION("it takes no notice, and so the end does not come") {
    bench.give(Responded{200, {}});
    bench.give(Received{event_line("ADDED", config_map("z", 5, "1"))});
    step = bench.give(WaitOver{});
    CHECK(step.wait == std::optional<Duration>(10s));
    CHECK_FALSE(step.abort);
    step = bench.give(WaitOver{});
    CHECK(step.abort);
  }
  REQUIRE(lists(step));
  CHECK(has(step, "resourceVersion=0"));
  CHECK(bench.reflector.problems().empty());
  CHECK(has(bench.answer(200, list_of({config_map("a", 5, "1")}, "10")),
            "watch=1&allowWatchBookmarks=true&resourceVersion=10&"));
  CHECK(bench.take() == Told{"a=1"});
  // The server may have been replaced meanwhile.
  bench.give(Responded{200, {}});
  CHECK(streams_from(bench.give(Received{event_line("ERROR", status_of(410, "Expired"))}), "10"));
}

TEST_CASE("a list that fails after its stream was refused is asked for as pages again",
          "[kube][reflector][watchlist]") {
  Bench bench(streamed());
  bench.start();
  REQUIRE(lists(bench.answer(422, invalid)));
  REQUIRE(bench.answer(503, "not yet").wait);
  CHECK(lists(bench.give(WaitOver{})));
}

TEST_CASE("a server that is too busy for a stream gets it again after a pause", "[kube][reflector][watchlist]") {
  Bench bench(streamed());
  bench.start();
  Step step;
  SECTION("429") { step = bench.answer(429, "slow down"); }
  SECTION("503 with Retry-After") {
    step = bench.answer(503, "shutting down", 100, 5s);
    CHECK(step.wait == std::optional<Duration>(5s));
  }
  SECTION("401") {
    step = bench.answer(401, status_of(401, "Unauthorized"));
    CHECK(step.token_refused);
  }
  SECTION("429 in the stream") {
    bench.give(Responded{200, {}});
    step = bench.give(Received{event_line("ERROR", status_of(429, "TooManyRequests"))});
    CHECK(step.abort);
  }
  REQUIRE(step.wait);
  CHECK_FALSE(step.request);
  CHECK(bench.reflector.problems().size() == 1);
  CHECK(streams_from(bench.give(WaitOver{}), ""));
}

TEST_CASE("a stream that ends before the list is thrown away and asked for again, then as pages",
          "[kube][reflector][watchlist]") {
  Bench bench(streamed());
  bench.start();
  for (int i = 0; i < 2; ++i) {
    bench.give(Responded{200, {}});
    bench.give(Received{event_line("ADDED", config_map("z", 5, "1"))});
    bench.now += 5s;
    REQUIRE(bench.give(Ended{i == 0 ? std::nullopt : std::optional<std::string>("reset")}).wait);
    const Step next = bench.give(WaitOver{});
    if (i == 0) CHECK(streams_from(next, ""));
    if (i == 1) CHECK(lists(next));
  }
  bench.answer(200, list_of({config_map("a", 5, "1")}, "10"));
  CHECK(bench.take() == Told{"a=1"});
  CHECK(bench.reflector.problems().empty());
}

TEST_CASE("nobody answers to a stream: wait for the server, then stream", "[kube][reflector][watchlist][outage]") {
  Bench bench(streamed());
  bench.start();
  REQUIRE(bench.give(Ended{"connection refused"}).server_gone);
  // The limit of the stream that is no more.
  CHECK(streams_from(bench.give(ServerAnswers{}), ""));
}

TEST_CASE("a watch whose answer has no head for long is waited for longer each time, until one comes soon",
          "[kube][reflector][proxy]") {
  Bench bench;
  bench.start();
  Step step = bench.answer(200, list_of({}, "10"));
  for (const unsigned patience : {1U, 2U, 4U, 8U, 8U}) {
    REQUIRE(step.request);
    CHECK(step.request->patience == patience);
    bench.now += 15s;
    REQUIRE(bench.give(Ended{"no answer within 15.0 s"}).server_gone);
    step = bench.give(ServerAnswers{});
  }
  bench.now += 65s;
  bench.give(Responded{200, {}});
  bench.now += 2s;
  CHECK(bench.give(Ended{}).request->patience == 8);
  bench.give(Responded{200, {}});
  bench.now += 2s;
  CHECK(bench.give(Ended{}).request->patience == 1);
}

TEST_CASE("a watch that is refused with a Retry-After keeps its version", "[kube][reflector][errors]") {
  Bench bench;
  bench.start();
  bench.answer(200, list_of({}, "10"));
  CHECK(bench.answer(503, "shutting down", 100, 5s).wait == std::optional<Duration>(5s));
  CHECK(has(bench.give(WaitOver{}), "watch=1"));
}

TEST_CASE("the version of a list in pages is its first page's", "[kube][reflector][paging]") {
  Bench bench;
  bench.start();
  bench.answer(200, list_of({config_map("a", 5, "1")}, "10", "more"));
  CHECK(has(bench.answer(200, list_of({config_map("b", 6, "1")}, "11")), "resourceVersion=10&"));
}

TEST_CASE("what was told is taken back, and the reflector begins anew", "[kube][reflector]") {
  Bench bench;
  bench.start();
  bench.answer(403, "no");
  CHECK(bench.reflector.refusal() == "403 Forbidden: no");
  bench.give(WaitOver{});
  bench.answer(200, list_of({config_map("a", 5, "1"), config_map("b", 6, "1")}, "10"));
  CHECK(bench.reflector.refusal().empty());
  bench.take();
  Step step;
  step.changes = bench.reflector.forget();
  bench.note(std::move(step));
  CHECK(bench.take() == Told{"a gone", "b gone"});
  CHECK_FALSE(bench.reflector.synced());
  CHECK_FALSE(bench.give(ServerAnswers{}).request);
  CHECK(has(bench.start(), "resourceVersion=0"));
}
