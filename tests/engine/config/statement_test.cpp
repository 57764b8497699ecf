// Lexer and braces: what any text, good or not, is cut into.
#include <catch2/catch.hpp>

#include "engine/config/language/lexer.h"
#include "engine/config/language/statement.h"
#include "engine/config/language/values.h"
#include "engine/config/vocabulary.h"
#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

using namespace std::chrono_literals;

// "a b{c{d;};e;};" for words and blocks.
std::string shape(const std::vector<Statement>& statements) {
  std::string text;
  for (const Statement& statement : statements) {
    for (std::size_t i = 0; i < statement.words.size(); ++i) text += (i == 0 ? "" : " ") + statement.words[i].text;
    if (statement.has_block) text += "{" + shape(statement.children) + "}";
    text += ";";
  }
  return text;
}

struct ShapeRow {
  const char* text;
  const char* shape;
};

constexpr ShapeRow good_rows[] = {
    {"", ""},
    {"# only a comment\n! another\n", ""},
    {"a b c\nd", "a b c;d;"},
    {"a {\n b\n}\n", "a{b;};"},
    {"a{\nb\n}c", "a{b;};c;"},
    {"a\n{\n b\n}\n", "a{b;};"},
    {"a # comment {\n\n # more\n{ b }", "a{b;};"},
    {"a { b { c } d }", "a{b{c;};d;};"},
    {"a ! {\nb", "a;b;"},
    {"a b#c", "a b;"},
    {"a \"b # { } ! c\" d", "a b # { } ! c d;"},
    {R"(a "b \" c" d\e)", "a b \" c d\\e;"},
    {R"(a "\x41\102\t|")", "a AB\t|;"},
    {"a \"\" b", "a  b;"},
    {"a x\"y z\"", "a xy z;"},
    {"a ${B}c", "a ${B}c;"},
    {"\xef\xbb\xbf"
     "a b\r\nc\r\n",
     "a b;c;"},
    {"a { }\n{ }", "a{};"},
};

TEST_CASE("a text is cut into statements and blocks", "[config][statement]") {
  for (const auto& row : good_rows) {
    Findings findings;
    const auto statements = parse_statements(row.text, findings);
    CAPTURE(row.text);
    CHECK(shape(statements) == row.shape);
  }
}

TEST_CASE("lines are counted from one and columns in characters, not bytes", "[config][statement]") {
  Findings findings;
  const auto statements = parse_statements("  a \"\xc3\xa4\xe6\x97\xa5\" b\n\tc", findings);
  REQUIRE(statements.size() == 2);
  CHECK(statements[0].at() == Position{1, 3});
  CHECK(statements[0].words[1].at == Position{1, 5});
  CHECK(statements[0].words[2].at == Position{1, 10});
  CHECK(statements[1].at() == Position{2, 2});
}

struct BraceRow {
  const char* text;
  Position at;
  const char* words;
};

constexpr BraceRow bad_rows[] = {
    {"}", {1, 1}, "unexpected '}'"},        {"{ a }", {1, 1}, "unexpected '{'"},
    {"a {\n b", {1, 3}, "never closed"},    {"a \"b\nc", {1, 3}, "not closed"},
    {"a \"b\\", {1, 3}, "not closed"},      {"a \x01 b", {1, 3}, "control character"},
    {"a {{", {1, 4}, "unexpected '{'"},     {"vrrp_script a {\nvrrp_script b {\n}\n", {1, 15}, "never closed"},
    {"a ${_PWD}", {1, 3}, "not supported"}, {"a ~SEQ(x,1,2)", {1, 3}, "not supported"},
};

TEST_CASE("what is wrong with braces and quotes is told with its place, and the rest is read", "[config][statement]") {
  for (const auto& row : bad_rows) {
    Findings findings;
    parse_statements(row.text, findings);
    CAPTURE(row.text);
    REQUIRE_FALSE(findings.list().empty());
    CHECK(findings.list()[0].at == row.at);
    CHECK(findings.list()[0].message.find(row.words) != std::string::npos);
    CHECK(findings.list()[0].severity == Severity::error);
  }
}

TEST_CASE("a missing brace costs its own block only", "[config][statement]") {
  Findings findings;
  const auto statements = parse_statements("vrrp_script a {\n b\n\nvrrp_instance c {\n d\n}\n", findings);
  CHECK(shape(statements) == "vrrp_script a{b;};vrrp_instance c{d;};");
  CHECK(findings.list().size() == 1);
}

TEST_CASE("blocks nested without end are one error, not a deep stack", "[config][statement]") {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "a {";
  Findings findings;
  const auto statements = parse_statements(text, findings);
  CHECK(statements.size() == 1);
  CHECK(findings.list().size() == 2);  // too deep, never closed
}

TEST_CASE("seconds are read exactly, and nothing else is", "[config][values]") {
  CHECK(parse_seconds("1") == 1s);
  CHECK(parse_seconds("0.05") == 50ms);
  CHECK(parse_seconds("1.") == 1s);
  CHECK(parse_seconds(".000001") == 1us);
  CHECK(parse_seconds("2678400") == 744h);
  for (const char* bad :
       {"", ".", "-1", "+1", "1e3", "1,5", "0x1", "2678401", "99999999999", "1.5.2", "1.0000000001", " 1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_seconds(bad));
  }
  CHECK(format_seconds(50ms) == "0.05");
  CHECK(format_seconds(3s) == "3");
}

}  // namespace
}  // namespace vipkeeper::config
