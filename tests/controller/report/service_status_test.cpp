#include "controller/report/service_status.h"

#include <catch2/catch.hpp>

using namespace vipkeeper;
using namespace vipkeeper::report;
using namespace std::chrono_literals;

namespace {

class Story {
 public:
  Story() { status.set_active(true); }
  [[nodiscard]] Moment at() const { return {start + now, {}}; }
  void want(std::vector<std::string> addresses, bool shown = false, const std::string& service = "default/web") {
    status.want(at(), service, ServiceIngress{std::move(addresses), shown});
  }
  // The body of the PATCH that is due; "" for none.
  std::string step(const ApiAnswer& answer = {.status = 200}) {
    const auto request = status.next(at());
    if (!request) return "";
    last = *request;
    status.answered(at(), answer);
    return request->body;
  }
  bool pass_to_deadline() {
    const auto deadline = status.deadline();
    if (deadline) now = std::max(now, *deadline - start);
    return deadline.has_value();
  }

  TimePoint start{1000h};
  Duration now{};
  ServiceStatus status;
  ApiRequest last;
};

}  // namespace

TEST_CASE("a difference is written as the whole list, with ipMode VIP", "[report][service-status]") {
  Story story;
  story.want({"10.0.0.50", "2001:db8::50"});
  CHECK(
      story.step() ==
      R"({"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.50","ipMode":"VIP"},{"ip":"2001:db8::50","ipMode":"VIP"}]}}})");
  CHECK(story.last.method == "PATCH");
  CHECK(story.last.target == "/api/v1/namespaces/default/services/web/status");
  CHECK(story.last.content_type == "application/merge-patch+json");
  CHECK(story.step() == "");
  story.want({"10.0.0.50", "2001:db8::50"}, true);
  CHECK_FALSE(story.status.deadline());
}

TEST_CASE("no address clears the list", "[report][service-status]") {
  Story story;
  story.want({});
  CHECK(story.step() == R"({"status":{"loadBalancer":{"ingress":null}}})");
}

TEST_CASE("only the Active node writes", "[report][service-status]") {
  Story story;
  story.status.set_active(false);
  story.want({"10.0.0.50"});
  CHECK(story.step() == "");
  CHECK_FALSE(story.status.deadline());
  story.status.set_active(true);
  CHECK(story.status.deadline() <= story.at().now);
  CHECK(story.step() != "");
}

TEST_CASE("what somebody undoes is written again with doubled patience, up to ten minutes",
          "[report][service-status]") {
  Story story;
  Duration last{};
  Duration patience = 10s;
  for (int number = 0; number < 12; ++number) {
    story.want({"10.0.0.50"});
    REQUIRE(story.step() != "");
    CHECK(story.step() == "");
    last = story.now;
    REQUIRE(story.pass_to_deadline());
    CHECK(story.now - last == patience);
    patience = std::min<Duration>(patience * 2, 10min);
  }
  // Another wish does not wait, and one that came true starts anew.
  story.want({"10.0.0.51"});
  CHECK(story.step() != "");
  story.want({"10.0.0.51"}, true);
  story.want({"10.0.0.51"});
  CHECK(story.step() != "");
  last = story.now;
  REQUIRE(story.pass_to_deadline());
  CHECK(story.now - last == 10s);
}

TEST_CASE("every failure but a right leaves the difference for later", "[report][service-status]") {
  for (const int status : {0, 401, 404, 409, 422, 429, 500, 503}) {
    INFO(status);
    Story story;
    story.want({"10.0.0.50"});
    const bool later = status == 429 || status == 503;
    REQUIRE(story.step({.status = status,
                        .text = "no",
                        .retry_after = later ? std::optional(std::chrono::seconds(60)) : std::nullopt}) != "");
    CHECK(story.step() == "");
    CHECK(story.status.problems().size() == (status == 422 || status == 500 ? 1 : 0));
    REQUIRE(story.pass_to_deadline());
    CHECK(story.now == (later ? 60s : 10s));
    CHECK(story.step() != "");
    CHECK(story.status.problems().empty());
  }
}

TEST_CASE("a forbidden status is said once, its namespace left alone for ten minutes", "[report][service-status]") {
  Story story;
  story.want({"10.0.0.50"});
  story.want({"10.0.0.51"}, false, "default/more");
  story.want({"10.0.0.52"}, false, "other/web");
  const ApiAnswer no = {.status = 403, .text = R"({"message":"services \"web\" is forbidden"})"};
  REQUIRE(story.step(no) != "");
  REQUIRE(story.step() != "");
  CHECK(story.last.target == "/api/v1/namespaces/other/services/web/status");
  CHECK(story.step() == "");
  const auto problems = story.status.problems();
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].message.find("patch of services/status is forbidden") != std::string::npos);
  CHECK(problems[0].message.find("rbac/") != std::string::npos);
  story.want({"10.0.0.52"}, true, "other/web");
  REQUIRE(story.pass_to_deadline());
  CHECK(story.now == 10min);
  REQUIRE(story.step() != "");
  CHECK(story.status.problems().empty());
  CHECK(story.step() != "");
}

TEST_CASE("a Service that is gone, or no longer ours, is left alone", "[report][service-status]") {
  Story story;
  story.want({"10.0.0.50"});
  story.status.want(story.at(), "default/web", std::nullopt);
  CHECK(story.step() == "");
  // Also while a request is under way.
  story.want({"10.0.0.50"});
  REQUIRE(story.status.next(story.at()));
  story.status.want(story.at(), "default/web", std::nullopt);
  story.status.answered(story.at(), {.status = 404});
  CHECK_FALSE(story.status.deadline());
}

TEST_CASE("a wish that changes while the earlier one is written follows at once", "[report][service-status]") {
  Story story;
  story.want({"10.0.0.50"});
  REQUIRE(story.status.next(story.at()));
  story.want({"10.0.0.51"});
  CHECK_FALSE(story.status.next(story.at()));
  story.status.answered(story.at(), {.status = 200});
  CHECK(story.step().find("10.0.0.51") != std::string::npos);
}
