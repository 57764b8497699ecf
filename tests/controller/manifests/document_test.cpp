#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "controller/manifests/document.h"

using namespace vipkeeper::manifests;
using nlohmann::json;

namespace {

json value_of(const std::string& yaml) {
  const Documents documents = parse_yaml(yaml);
  REQUIRE(documents);
  REQUIRE(documents->size() == 1);
  return documents->front().value;
}

}  // namespace

TEST_CASE("plain scalars have the types of the core schema and quoted ones are text", "[manifests][yaml-1.2-10.3.2]") {
  struct Row {
    const char* scalar;
    json value;
  };
  const Row rows[] = {
      {"8080", 8080U},
      {"\"8080\"", "8080"},
      {"'8080'", "8080"},
      {"-3", -3},
      {"+3", 3U},
      {"007", 7U},
      {"0x1F", 31U},
      {"0o17", 15U},
      {"18446744073709551615", 18446744073709551615ULL},
      {"-9223372036854775808", std::int64_t{-9223372036854775807} - 1},
      {"1.5", 1.5},
      {"1e3", 1000.0},
      {".5", 0.5},
      {"-.5", -0.5},
      {"3.", 3.0},
      {"true", true},
      {"False", false},
      {"no", "no"},
      {"on", "on"},
      {"~", nullptr},
      {"null", nullptr},
      {"", nullptr},
      {"\"\"", ""},
      {"10.0.0.50", "10.0.0.50"},
      {"1.2.3", "1.2.3"},
      {"0x", "0x"},
      {"-", "-"},
      {"-0x10", "-0x10"},
      {".", "."},
      {"1e", "1e"},
      {".inf", ".inf"},
      {"2001:db8::1", "2001:db8::1"},
      {"10:30", "10:30"},
      {"2024-01-01", "2024-01-01"},
      {"!!str 8080", "8080"},
      {"!!int 8080", 8080U},
  };
  for (const Row& row : rows) {
    if (std::string(row.scalar) == "-") continue;  // a list's dash
    INFO(row.scalar);
    CHECK(value_of(std::string("v: ") + row.scalar + "\n")["v"] == row.value);
  }
}

TEST_CASE("block text keeps its lines and is never a number", "[manifests][yaml-1.2-8.1]") {
  CHECK(value_of("v: |\n  8080\n")["v"] == "8080\n");
  CHECK(value_of("v: |-\n  a: b\n  c: d\n")["v"] == "a: b\nc: d");
  CHECK(value_of("v: >\n  one\n  two\n")["v"] == "one two\n");
}

TEST_CASE("keys are text whatever they look like", "[manifests]") {
  CHECK(value_of("10.0.0.50: default/web\n8080: x\ntrue: y\n") ==
        json({{"10.0.0.50", "default/web"}, {"8080", "x"}, {"true", "y"}}));
}

TEST_CASE("flow collections and JSON are YAML", "[manifests]") {
  CHECK(value_of(R"({"a": [1, "2", {"b": null}], "c": {}})") == json::parse(R"({"a":[1,"2",{"b":null}],"c":{}})"));
}

TEST_CASE("anchors, aliases and merge keys are resolved", "[manifests]") {
  CHECK(value_of("a: &x {p: 1}\nb: *x\n")["b"] == json({{"p", 1}}));
  CHECK(value_of("a: &x [1, 2]\nb: *x\n")["b"] == json({1, 2}));
  CHECK(value_of("a: &x 8080\nb: *x\n")["b"] == 8080);
  CHECK(value_of("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n")["b"] == json({{"p", 1}, {"q", 3}}));
  CHECK(value_of("a: &x {p: 1}\nc: &y {p: 5, r: 2}\nb:\n  <<: [*x, *y]\n")["b"] == json({{"p", 1}, {"r", 2}}));
  CHECK(value_of("a:\n  \"<<\": plain\n")["a"] == json({{"<<", "plain"}}));
}

TEST_CASE("several documents come with the lines they start on, empty ones are left out", "[manifests]") {
  const Documents documents = parse_yaml("# head\n---\na: 1\n---\n---\n# nothing\n---\n\nb: 2\n...\n");
  REQUIRE(documents);
  REQUIRE(documents->size() == 2);
  CHECK((*documents)[0].line == 3);
  CHECK((*documents)[1].line == 9);
  CHECK((*documents)[1].value == json({{"b", 2}}));
  CHECK(parse_yaml("")->empty());
  CHECK(parse_yaml("# only a comment\n")->empty());
}

TEST_CASE("what is no YAML is refused with its line", "[manifests]") {
  struct Row {
    const char* text;
    std::size_t line;
    const char* message;
  };
  const Row rows[] = {
      {"a: 1\nb: [1, 2\n", 3, "end of sequence flow not found"},
      {"a: 1\na: 2\n", 2, "the key \"a\" comes twice"},
      {"x:\n  - p: 1\n    q: 2\n    p: 3\n", 4, "the key \"p\" comes twice"},
      {"a: 1\nb: \"unclosed\nc: 1\n", 2, "a quoted text has no end"},
      {"a: 'unclosed ''x\"\n\n", 1, "a quoted text has no end"},
      {"\"a\\\"\n", 1, "a quoted text has no end"},
      {"a: [\"x\", 'y", 1, "illegal EOF in scalar"},
      {"a: b: c\n", 1, "illegal map value"},
      {"ok: 1\n---\n\tx: 1\n", 3, "illegal map value"},
      {"ok: 1\n---\n,a: 1\n", 3, "a comma or bracket that belongs to no list or mapping"},
      {"]\n", 1, "illegal flow end"},
      {"a: *nowhere\n", 1, "the referenced anchor is not defined"},
      {"? [a, b]\n: c\n", 1, "a mapping or list as a key"},
      {"a: &x [1]\nb:\n  <<: *x\n", 3, "the value of \"<<\" is not a mapping"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const Documents documents = parse_yaml(row.text);
    REQUIRE_FALSE(documents);
    CHECK_THAT(documents.error().message, Catch::Contains(row.message));
    CHECK(documents.error().line == row.line);
  }
}

TEST_CASE("aliases that stand for too much are refused", "[manifests]") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j == 0 ? "*a" : ", *a") + std::to_string(i - 1);
    text += "]\n";
  }
  const Documents documents = parse_yaml(text);
  REQUIRE_FALSE(documents);
  CHECK(documents.error().message == "its aliases stand for too many values");
  CHECK_FALSE(parse_yaml("a: &x [*x]\n"));
}

TEST_CASE("a hundred thousand brackets are an error, not a crash", "[manifests]") {
  CHECK_FALSE(parse_yaml(std::string(100'000, '[')));
  CHECK_FALSE(parse_json(std::string(100'000, '[')));
}

TEST_CASE("JSON is read under the same rules", "[manifests]") {
  CHECK(parse_json(R"({"a": "8080", "b": 8080, "c": "\ud83d\ude00"})")->front().value ==
        json::parse(R"({"a": "8080", "b": 8080, "c": "\ud83d\ude00"})"));
  const Documents twice = parse_json("{\"a\": 1,\n \"b\": 2,\n \"a\": 3}");
  REQUIRE_FALSE(twice);
  CHECK(twice.error() == SyntaxError{3, "the key \"a\" comes twice"});
  const Documents cut = parse_json("{\"a\": 1,\n \"b\": [1, 2");
  REQUIRE_FALSE(cut);
  CHECK(cut.error().line == 2);
  CHECK_THAT(cut.error().message, Catch::StartsWith("syntax error"));
  CHECK_FALSE(parse_json("{} {}"));
  CHECK_FALSE(parse_json(""));
}

TEST_CASE("a field's line is found, or that of what is around it", "[manifests]") {
  const std::string text =
      "# nothing\n"
      "---\n"
      "kind: A\n"
      "---\n"
      "kind: B\n"           // 5
      "spec:\n"             // 6
      "  ports:\n"          // 7
      "  - port: 1\n"       // 8
      "    name: x\n"       // 9
      "  - port: 70000\n";  // 10
  CHECK(locate_field(text, 0, "kind") == 3);
  CHECK(locate_field(text, 1, "spec.ports[1].port") == 10);
  CHECK(locate_field(text, 1, "spec.ports[0].name") == 9);
  CHECK(locate_field(text, 1, "spec.ports[0].absent") == 8);
  CHECK(locate_field(text, 1, "spec.absent.deeper") == 6);
  CHECK(locate_field(text, 1, "absent") == 5);
  CHECK(locate_field(text, 7, "kind") == 1);
  CHECK(locate_field("{\"a\": {\n\"b\": [1,\n2]}}", 0, "a.b[1]") == 3);
}
