#include "engine/base/result.h"

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "engine/base/protocol.h"
#include "engine/base/unique_fd.h"

namespace vipkeeper {

TEST_CASE("an error gains context on its way up and keeps its code", "[base]") {
  const Result<int> result = failure(ErrorCode::permission, "Operation not permitted");
  REQUIRE_FALSE(result);
  const Error error = result.error().with_context("add 10.0.0.50/32 to eth0").with_context("virtual router vips");
  CHECK(error.message == "virtual router vips: add 10.0.0.50/32 to eth0: Operation not permitted");
  CHECK(error.code == ErrorCode::permission);
}

TEST_CASE("a descriptor is closed once, by its last owner", "[base]") {
  const auto open_one = [] { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); };
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) != -1; };
  int raw = -1;
  {
    UniqueFd first = open_one();
    raw = first.get();
    REQUIRE(first);
    UniqueFd second = std::move(first);
    CHECK(second.get() == raw);
    CHECK(is_open(raw));
  }
  CHECK_FALSE(is_open(raw));
  UniqueFd kept = open_one();
  const int old = kept.get();
  kept = UniqueFd();
  CHECK_FALSE(kept);
  CHECK_FALSE(is_open(old));
}

TEST_CASE("protocols have their names", "[base]") {
  CHECK(to_string(Protocol::tcp) == "tcp");
  CHECK(to_string(Protocol::udp) == "udp");
  CHECK(to_string(Protocol::sctp) == "sctp");
}

}  // namespace vipkeeper
