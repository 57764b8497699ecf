#include "engine/net/netlink/ipvs_answers.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <vector>

namespace vipkeeper::net {
namespace {

using namespace ipvs;
using Kind = OperationError::Kind;

const ServiceKey web{Protocol::tcp, IpAddress::v4(0xc000020a), 80, 0, Family::ipv4};
const DestinationKey pod{IpAddress::v4(0x0a000007), 8080};
const Operation add{AddService{web, {}}}, set{SetService{web, {}}}, remove_service{DeleteService{web}};
const Operation add_pod{AddDestination{web, pod, {}}}, set_pod{SetDestination{web, pod, {}}};
const Operation remove_pod{DeleteDestination{web, pod}};

struct Question {
  bool answer;
  unsigned times = 0;
};

Applied judge(const std::vector<Operation>& operations, const std::vector<std::optional<int>>& numbers, Question& ask) {
  return judge_answers(operations, numbers, [&ask] {
    ++ask.times;
    return ask.answer;
  });
}

TEST_CASE("a number that is about one command has that command's error, and the others count",
          "[ipvs][netlink][errors]") {
  struct Row {
    Operation operation;
    int number;
    std::optional<Kind> kind;  // none: done
  };
  const Row rows[] = {
      {add, 0, std::nullopt},
      {add, EEXIST, Kind::taken},
      {add, ENOENT, Kind::refused},
      {add, ENOMEM, Kind::exhausted},
      {add, ENOBUFS, Kind::exhausted},
      {add, EAFNOSUPPORT, Kind::refused},
      {set, ENOENT, Kind::refused},
      {set, ESRCH, Kind::gone},
      {set, ENOMEM, Kind::exhausted},
      {remove_service, ESRCH, std::nullopt},
      {remove_service, EINVAL, Kind::refused},
      {add_pod, ESRCH, Kind::gone},
      {add_pod, EEXIST, Kind::taken},
      {add_pod, EINVAL, Kind::refused},
      {add_pod, ENOMEM, Kind::exhausted},
      {set_pod, ENOENT, Kind::gone},
      {set_pod, ERANGE, Kind::refused},
      {remove_pod, ENOENT, std::nullopt},
      {remove_pod, ESRCH, std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(to_string(row.operation), row.number);
    Question nobody{false};
    const auto result = judge({add, row.operation, add}, {0, row.number, 0}, nobody);
    CHECK(nobody.times == 0);  // the others show that ip_vs has answered
    REQUIRE_FALSE(result.table_error);
    REQUIRE(result.answers.size() == 3);
    CHECK(result.answers[0].has_value());
    CHECK(result.answers[2].has_value());
    REQUIRE(result.answers[1].has_value() == !row.kind.has_value());
    if (row.kind) CHECK(result.answers[1].error().kind == *row.kind);
  }
}

TEST_CASE("a missing scheduler is named with its remedy", "[ipvs][netlink][errors]") {
  Question stands{true};
  const auto result = judge({AddService{web, {"mh", 0, 0, 32}}}, {ENOENT}, stands);
  REQUIRE(result.answers.size() == 1);
  CHECK_THAT(result.answers[0].error().message, Catch::Contains("modprobe ip_vs_mh"));
  CHECK(stands.times == 1);
}

TEST_CASE("nothing but ENOENT leaves open who said it, and so IPVS is looked up again, once",
          "[ipvs][netlink][family]") {
  const std::vector<Operation> operations{add, set_pod, remove_pod};
  const std::vector<std::optional<int>> numbers(3, ENOENT);
  Question stands{true}, gone{false};
  const auto standing = judge(operations, numbers, stands);
  CHECK(stands.times == 1);
  CHECK_FALSE(standing.table_error);
  REQUIRE(standing.answers.size() == 3);
  CHECK(standing.answers[0].error().kind == Kind::refused);
  CHECK(standing.answers[1].error().kind == Kind::gone);
  CHECK(standing.answers[2].has_value());

  const auto unloaded = judge(operations, numbers, gone);
  CHECK(gone.times == 1);
  CHECK(unloaded.answers.empty());
  REQUIRE(unloaded.table_error);
  CHECK(unloaded.table_error->code == ErrorCode::unavailable);
}

TEST_CASE("after the module was loaded anew nothing counts as deleted", "[ipvs][netlink][family]") {
  for (const Operation& deletion : {remove_service, remove_pod}) {
    CAPTURE(to_string(deletion));
    Question gone{false};
    const auto result = judge({deletion, deletion}, {ENOENT, ENOENT}, gone);
    CHECK(result.answers.empty());
    CHECK(result.table_error);
  }
}

TEST_CASE("what ip_vs never says is generic netlink's, whoever has the number now", "[ipvs][netlink][family]") {
  struct Row {
    Operation operation;
    int number;
  };
  // ENOPROTOOPT: the module is being unloaded.
  const Row rows[] = {{remove_service, ENOENT}, {add_pod, ENOENT}, {add, EOPNOTSUPP}, {add, ENOPROTOOPT}};
  for (const Row& row : rows) {
    CAPTURE(to_string(row.operation), row.number);
    Question stands{true};
    const auto result = judge({row.operation}, {row.number}, stands);
    CHECK(result.answers.empty());
    CHECK(result.table_error);
  }
}

TEST_CASE("a missing right and a lost answer are the table's, and what came before counts", "[ipvs][netlink][errors]") {
  Question stands{true};
  const auto forbidden = judge({add, add_pod}, {EPERM, EPERM}, stands);
  CHECK(forbidden.answers.empty());
  REQUIRE(forbidden.table_error);
  CHECK(forbidden.table_error->code == ErrorCode::permission);
  const auto lost = judge({add, add_pod, set_pod}, {EEXIST, std::nullopt, 0}, stands);
  CHECK(lost.answers.size() == 1);
  REQUIRE(lost.table_error);
  CHECK(lost.table_error->code == ErrorCode::io);
  CHECK(stands.times == 0);
}

TEST_CASE("a question about one service is refused for that one, or for all", "[ipvs][netlink][errors]") {
  const auto kind = [](int number) { return std::get<OperationError>(judge_question(number)).kind; };
  CHECK(kind(ESRCH) == Kind::gone);
  CHECK(kind(ENOMEM) == Kind::exhausted);
  CHECK(kind(EAFNOSUPPORT) == Kind::refused);
  const auto code = [](int number) { return std::get<TableError>(judge_question(number)).code; };
  CHECK(code(EPERM) == ErrorCode::permission);
  CHECK(code(ENOENT) == ErrorCode::unavailable);
  CHECK(code(EOPNOTSUPP) == ErrorCode::unavailable);
}

}  // namespace
}  // namespace vipkeeper::net
