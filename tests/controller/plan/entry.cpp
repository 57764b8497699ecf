#include "controller/plan/entry.h"

#include <catch2/catch.hpp>

#include "controller/plan/user_text.h"
#include "controller/plan/wording.h"

namespace vipkeeper::plan {
namespace {

// "bare", "ns/svc", "ns/svc NAT", with " (warned)" behind, or "refused: MESSAGE".
std::string outcome(std::string_view key, std::string_view value) {
  const auto entry = parse_entry(key, value);
  if (!entry) {
    REQUIRE(entry.error().size() == 1);
    return "refused: " + entry.error().front();
  }
  REQUIRE(entry->addresses.size() == 1);
  CHECK(entry->addresses[0].length == 32);
  std::string text = "bare";
  if (!entry->services.empty()) {
    text = entry->services[0].to_string();
    if (const auto method = entry->services[0].says.method) text += " " + std::string(to_string(*method));
  }
  for (const auto& warning : entry->warnings) text += " (" + warning + ")";
  return text;
}

struct Row {
  const char* value;
  const char* outcome;
};

TEST_CASE("values of the original's form that are served", "[plan][configmap][grammar]") {
  const Row rows[] = {
      {"", "bare"},
      {" ", "bare"},
      {"\n", "bare"},
      {"default/web", "default/web"},
      {"default/web:", "default/web"},
      {"default/web: ", "default/web"},
      {"default/web:NAT", "default/web NAT"},
      {"default/web:DR", "default/web DR"},
      {"default/web:PROXY", "default/web PROXY"},
      {"default/web\n", "default/web"},
      {"  default/web:DR \n", "default/web DR"},
      {"default/web: DR", "default/web DR"},
      {"default/web:DR ", "default/web DR"},
      {" default/web", "default/web"},
      {"default/web ", "default/web"},
      {"d/0", "d/0"},
      {"default/web:XNATX",
       "default/web NAT (method \"XNATX\" is none of NAT, DR and PROXY; served as NAT, as before: write one of them)"},
      {"default/web:NAT,DR",
       "default/web NAT (method \"NAT,DR\" is none of NAT, DR and PROXY; served as NAT, as before: write one of them)"},
      {"default/web:DRAFT",
       "default/web NAT (method \"DRAFT\" is none of NAT, DR and PROXY; served as NAT, as before: write one of them)"},
      {"a note\ndefault/web:DR\ndefault/api",
       "default/web DR (of several lines only the one with \"default\"/\"web\" counts: keep that one)"},
  };
  for (const auto& row : rows) {
    INFO("value [" << row.value << "]");
    CHECK(outcome("10.0.0.50", row.value) == row.outcome);
  }
}

TEST_CASE("values of the original's form that are refused", "[plan][configmap][grammar]") {
  const std::string form = ": write namespace/service[:NAT|DR|PROXY], or \"\" for an address alone";
  const Row rows[] = {
      {"web", "value \"web\" names no Service"},
      {"web:NAT", "value \"web:NAT\" names no Service"},
      {":DR", "value \":DR\" names no Service"},
      {"default/web:nat", "method \"nat\" is none of NAT, DR and PROXY (in capitals)"},
      {"default/web:dr", "method \"dr\" is none of NAT, DR and PROXY (in capitals)"},
      {"default/web:TUN", "method \"TUN\" is none of NAT, DR and PROXY (in capitals)"},
      {"default/web:80", "method \"80\" is none of NAT, DR and PROXY (in capitals)"},
      {"default/web:DR:NAT", "service name \"web:DR\" is not one that Kubernetes gives"},
      {"default/web:80:NAT", "service name \"web:80\" is not one that Kubernetes gives"},
      {"a/b/c", "namespace \"a/b\" is not one that Kubernetes gives"},
      {"a/b:c/d", "method \"c/d\" is none of NAT, DR and PROXY (in capitals)"},
      {"/", "namespace \"\" is not one that Kubernetes gives"},
      {"/web", "namespace \"\" is not one that Kubernetes gives"},
      {"default/", "service name \"\" is not one that Kubernetes gives"},
      {"default/a default/b", "namespace \"default/a default\" is not one that Kubernetes gives"},
      {"default/ web", "service name \" web\" is not one that Kubernetes gives"},
      {"default/Web", "service name \"Web\" is not one that Kubernetes gives"},
      {"default/-web", "service name \"-web\" is not one that Kubernetes gives"},
      {"default/web}\nvirtual_server", "service name \"web}\" is not one that Kubernetes gives"},
      {"default/web\"", "service name \"web\"\" is not one that Kubernetes gives"},
  };
  for (const auto& row : rows) {
    INFO("value [" << row.value << "]");
    CHECK(outcome("10.0.0.50", row.value) == "refused: " + (row.outcome + form));
  }
}

TEST_CASE("keys are strict IPv4 addresses with white space dropped around", "[plan][configmap][grammar]") {
  CHECK(outcome(" 10.0.0.50\n", "") == "bare");
  const char* bad[] = {"README",        "010.4.0.50", "10.4.0.300", "10.4.0",  "10.4.0.5/24",
                       "10.4.0.5-eth0", "",           "1.2.3.4 5",  "fd00::1", "10.0.0.50}\n"};
  for (const char* key : bad) {
    INFO("key [" << key << "]");
    const auto entry = parse_entry(key, "");
    REQUIRE_FALSE(entry);
    REQUIRE(entry.error().size() == 1);
    CHECK(entry.error().front().starts_with("key \""));
  }
}

TEST_CASE("user's text is shown on one short line of whole characters", "[plan][configmap][messages]") {
  CHECK(quoted("a\nb\tc") == "\"a b c\"");
  CHECK(quoted("\xef\xbb\xbf"
               "10.0.0.50") == "\"\\ufeff10.0.0.50\"");
  PlanOptions options;
  options.config_map_name = "vips";
  CHECK(entry_object(options, "\xe2\x80\xaez") == "ConfigMap default/vips key \\u202ez");
  const std::string umlauts = "x" + []() {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "\xc3\xa4";
    return text;
  }();
  CHECK(quoted(umlauts) == "\"" + umlauts.substr(0, 59) + "...\"");
}

}  // namespace
}  // namespace vipkeeper::plan
