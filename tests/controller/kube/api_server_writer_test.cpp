#include "controller/kube/api_server_writer.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>
#include <optional>

#include "controller/kube/loop.h"
#include "tests/controller/kube/scripted_server.h"
#include "tests/support/temporary_directory.h"

using namespace vipkeeper;
using namespace vipkeeper::kube;
using namespace vipkeeper::test;
using namespace std::chrono_literals;

namespace {

const Request post_event = {.target = "/apis/events.k8s.io/v1/namespaces/default/events",
                            .method = "POST",
                            .body = R"({"kind":"Event"})",
                            .content_type = "application/json"};
const Request patch_status = {.target = "/api/v1/namespaces/default/services/web/status",
                              .method = "PATCH",
                              .body = R"({"status":null})",
                              .content_type = "application/merge-patch+json"};

// A writer to a scripted server, whose answers can be waited for.
class Writing {
 public:
  explicit Writing(ScriptedServer::Handler handler, Duration within = 20s, SSL_CTX* tls = nullptr)
      : server(std::move(handler), tls) {
    initialize();
    AccessOptions options;
    options.apiserver_host = "http://127.0.0.1:" + std::to_string(server.port());
    auto made = ApiServerWriter::create(options, within);
    REQUIRE(made);
    writer = std::move(*made);
  }
  ~Writing() { writer->stop(); }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  void send(const Request& request) {
    writer->send(request, [shared = shared_](Answer answer) {
      const std::lock_guard lock(shared->mutex);
      shared->answers.push_back(std::move(answer));
      shared->came.notify_all();
    });
  }
  // The answers once there are so many.
  std::vector<Answer> answers(std::size_t count) {
    std::unique_lock lock(shared_->mutex);
    shared_->came.wait_for(lock, 20s, [&] { return shared_->answers.size() >= count; });
    return shared_->answers;
  }
  Answer ask(const Request& request) {
    const std::size_t before = answers(0).size();
    send(request);
    const auto all = answers(before + 1);
    REQUIRE(all.size() == before + 1);
    return all.back();
  }

  ScriptedServer server;
  std::unique_ptr<ApiServerWriter> writer;

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable came;
    std::vector<Answer> answers;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

TEST_CASE("a POST and a PATCH arrive with their bodies and types, and are answered", "[kube][writer]") {
  Writing writing([](auto& connection, const HttpRequest& request) {
    connection.answer(request.method == "POST" ? 201 : 200, request.body);
  });
  CHECK(writing.ask(post_event).status == 201);
  const auto answer = writing.ask(patch_status);
  CHECK(answer.status == 200);
  CHECK(answer.text == R"({"status":null})");
  const auto requests = writing.server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].method == "POST");
  CHECK(requests[0].target == post_event.target);
  CHECK(requests[0].body == post_event.body);
  CHECK(requests[0].header("content-type") == "application/json");
  CHECK(requests[1].method == "PATCH");
  CHECK(requests[1].header("content-type") == "application/merge-patch+json");
  CHECK(writing.server.connections() == 1);
}

TEST_CASE("a look-up is a GET that says what it wants", "[kube][writer]") {
  Writing writing([](auto& connection, const HttpRequest&) { connection.answer(200, "{}"); });
  CHECK(writing.ask({.target = "/api/v1/nodes", .accept = "application/json;as=PartialObjectMetadataList"}).status ==
        200);
  CHECK(writing.server.requests().at(0).method == "GET");
  CHECK(writing.server.requests().at(0).header("accept") == "application/json;as=PartialObjectMetadataList");
}

TEST_CASE("what the API server says against it is an answer: 403, 409, 429 with its time, 5xx", "[kube][writer]") {
  for (const int status : {400, 403, 404, 409, 422, 429, 500, 503}) {
    INFO(status);
    Writing writing([status](auto& connection, const HttpRequest&) {
      connection.answer(status, "said so", status == 429 ? "Retry-After: 7\r\n" : "");
    });
    const auto answer = writing.ask(post_event);
    CHECK(answer.status == status);
    CHECK(answer.text == "said so");
    CHECK(answer.retry_after == (status == 429 ? std::optional(7s) : std::nullopt));
    CHECK(writing.server.requests().size() == 1);
  }
}

TEST_CASE("a kept connection that has died costs a write nothing", "[kube][writer]") {
  for (const bool reset : {false, true}) {
    for (const Request& request : {post_event, patch_status}) {
      INFO(request.method << (reset ? " after RST" : " after FIN"));
      // Every connection is closed after one answer, without a word about it.
      Writing writing([reset](auto& connection, const HttpRequest&) {
        connection.answer(201, "{}");
        connection.close(reset);
      });
      for (std::size_t number = 1; number <= 3; ++number) {
        CHECK(writing.ask(request).status == 201);
        CHECK(writing.server.requests().size() == number);
      }
      CHECK(writing.server.connections() == 3);
    }
  }
}

TEST_CASE("a connection that dies while the answer is waited for is tried once more, and no more", "[kube][writer]") {
  std::atomic<int> requests = 0;
  Writing writing([&](auto& connection, const HttpRequest&) {
    if (++requests == 1) {
      connection.answer(201, "{}");
    } else {
      connection.close(true);
    }
  });
  CHECK(writing.ask(post_event).status == 201);
  const auto answer = writing.ask(post_event);
  CHECK(answer.status == 0);
  CHECK_FALSE(answer.text.empty());
  // The library, too, repeats what it has written to a kept connection and gets no answer for.
  CHECK(requests <= 4);
}

TEST_CASE("an answer that is cut short is none", "[kube][writer]") {
  Writing writing([](auto& connection, const HttpRequest&) {
    connection.send("HTTP/1.1 201 X\r\nContent-Length: 100\r\n\r\nhalf");
    connection.close();
  });
  CHECK(writing.ask(post_event).status == 0);
}

TEST_CASE("nobody there is said at once", "[kube][writer]") {
  Writing writing([](auto&, const HttpRequest&) {});
  writing.server.stop();
  const auto answer = writing.ask(post_event);
  CHECK(answer.status == 0);
  CHECK_FALSE(answer.text.empty());
}

TEST_CASE("a server that takes the request and says nothing is given up", "[kube][writer]") {
  Writing writing([](auto& connection, const HttpRequest&) { connection.is_gone(20s); }, 200ms);
  const auto began = Clock::now();
  const auto answer = writing.ask(post_event);
  CHECK(answer.status == 0);
  CHECK(answer.text.find("no answer within 0.2 s") != std::string::npos);
  CHECK(Clock::now() - began < 10s);
  writing.server.stop();
}

TEST_CASE("a slow server holds up nobody who sends, and more than sixteen requests are refused", "[kube][writer]") {
  std::atomic<bool> open = false;
  Writing writing([&](auto& connection, const HttpRequest&) {
    while (!open && !connection.is_gone(10ms)) {
    }
    connection.answer(201, "{}");
  });
  const auto began = Clock::now();
  for (int i = 0; i < 20; ++i) writing.send(post_event);
  CHECK(Clock::now() - began < 5s);
  const auto refused = writing.answers(4);
  REQUIRE(refused.size() == 4);
  for (const auto& answer : refused) CHECK(answer.text == "too many requests are under way");
  open = true;
  CHECK(writing.answers(20).size() == 20);
}

TEST_CASE("an answer without end is cut off", "[kube][writer]") {
  Writing writing([](auto& connection, const HttpRequest&) {
    connection.begin();
    const std::string block(64 * 1024, 'x');
    while (!connection.is_gone(0ms)) connection.chunk(block);
    connection.close();
  });
  CHECK(writing.ask(post_event).text == "the answer is longer than 1 MiB");
}

TEST_CASE("a token that is refused is read again for the next request", "[kube][writer]") {
  const tests::TemporaryDirectory directory;
  const std::string token = directory.path + "/token";
  std::ofstream(token) << "old\n";
  ScriptedServer server([](auto& connection, const HttpRequest& request) {
    connection.answer(request.header("authorization") == "Bearer new" ? 201 : 401, "{}");
  });
  const std::string kubeconfig = directory.path + "/kubeconfig";
  std::ofstream(kubeconfig) << "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
                            << "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:" << server.port() << "'}}]\n"
                            << "users: [{name: u, user: {tokenFile: '" << token << "'}}]\n";
  initialize();
  AccessOptions options;
  options.kubeconfig = kubeconfig;
  auto writer = ApiServerWriter::create(options);
  REQUIRE(writer);
  const auto status_of_one = [&] {
    auto came = std::make_shared<std::promise<int>>();
    auto answer = came->get_future();
    (*writer)->send(post_event, [came](Answer one) { came->set_value(one.status); });
    REQUIRE(answer.wait_for(20s) == std::future_status::ready);
    return answer.get();
  };
  CHECK(status_of_one() == 401);
  std::ofstream(token) << "new\n";
  CHECK(status_of_one() == 201);
}

TEST_CASE("stopped with requests under way, no answer comes any more", "[kube][writer]") {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> heard = 0;
    ScriptedServer server([](auto& connection, const HttpRequest&) { connection.is_gone(20s); });
    initialize();
    AccessOptions options;
    options.apiserver_host = "http://127.0.0.1:" + std::to_string(server.port());
    auto writer = ApiServerWriter::create(options);
    REQUIRE(writer);
    for (int i = 0; i < 3; ++i) (*writer)->send(post_event, [&](const Answer&) { ++heard; });
    const auto began = Clock::now();
    (*writer)->stop();
    CHECK(Clock::now() - began < 1s);
    CHECK(heard == 0);
    server.stop();
    CHECK(heard == 0);
  }
}
