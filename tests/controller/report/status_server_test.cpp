#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>

#include "controller/report/status_json.h"
#include "controller/report/status_server.h"
#include "engine/base/unique_fd.h"
#include "tests/support/temporary_directory.h"

using namespace vipkeeper;

namespace {

report::Answers answers(bool good) {
  return {.health = [good] { return report::Answers::Verdict{good, "the VRRP thread does not answer"}; },
          .ready = [good] { return report::Answers::Verdict{good, "waiting"}; },
          .status = [] { return report::status_json({}); },
          .metrics = [] { return std::string("vipkeeper_up 1\n"); }};
}

}  // namespace

TEST_CASE("the control socket answers with status, health and metrics", "[report]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/control.sock";
  const auto server = report::StatusServer::listen_unix(path, answers(true));
  REQUIRE(server);
  CHECK(report::ask(path, "/health").value() == "OK");
  CHECK(report::ask(path, "/ready").value() == "OK");
  CHECK(report::ask(path, "/metrics").value() == "vipkeeper_up 1\n");
  CHECK(report::ask(path, "/status").value().starts_with("{\"version\""));
  CHECK(report::ask(path, "/").value().find("<h1>vipkeeper</h1>") != std::string::npos);
  const auto missing = report::ask(path, "/nothing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("404") != std::string::npos);
}

TEST_CASE("only the owner may open the control socket", "[report]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/control.sock";
  const auto server = report::StatusServer::listen_unix(path, answers(true));
  REQUIRE(server);
  using std::filesystem::perms;
  CHECK(std::filesystem::status(path).permissions() == (perms::owner_read | perms::owner_write));
}

TEST_CASE("bad health is 500 and not being ready 503, each with the reason", "[report]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/control.sock";
  const auto server = report::StatusServer::listen_unix(path, answers(false));
  REQUIRE(server);
  CHECK(report::ask(path, "/health").error().message == "/health: HTTP 500: the VRRP thread does not answer\n");
  CHECK(report::ask(path, "/ready").error().message == "/ready: HTTP 503: waiting\n");
}

TEST_CASE("a socket left by a crash is replaced, a living instance's is not", "[report]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/control.sock";
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    REQUIRE(::bind(dead.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  }
  const auto server = report::StatusServer::listen_unix(path, answers(true));
  REQUIRE(server);
  const auto second = report::StatusServer::listen_unix(path, answers(true));
  REQUIRE_FALSE(second);
  CHECK(second.error().message.find("another vipkeeper answers there") != std::string::npos);
  CHECK(report::ask(path, "/health"));
}

TEST_CASE("asking where nothing runs says so with the path", "[report]") {
  const auto answer = report::ask("/nonexistent/control.sock", "/status");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::unavailable);
  CHECK(answer.error().message.find("/nonexistent/control.sock") != std::string::npos);
}

TEST_CASE("a TCP listener on port 0 says which port it got", "[report]") {
  const auto server = report::StatusServer::listen_tcp("127.0.0.1", 0, answers(true));
  REQUIRE(server);
  CHECK((*server)->port() > 0);
  const auto second = report::StatusServer::listen_tcp("127.0.0.1", (*server)->port(), answers(true));
  CHECK_FALSE(second);
}
