#include "engine/run/scripts/script_command.h"

#include <catch2/catch.hpp>

using vipkeeper::run::build_arguments;
using vipkeeper::run::programs_of;
using Words = std::vector<std::string>;

TEST_CASE("a plain command is split into its words", "[run][script]") {
  struct Row {
    const char* command;
    Words words;
  };
  const Row rows[] = {
      {"/bin/true", {"/bin/true"}},
      {"  killall -0  haproxy ", {"killall", "-0", "haproxy"}},
      {"/bin/echo \"two words\" 'and more' x\\ y", {"/bin/echo", "two words", "and more", "x y"}},
      {"/bin/a --key=value", {"/bin/a", "--key=value"}},
      {"/bin/a \"\" b", {"/bin/a", "", "b"}},
      {"/bin/a pre\"fix ed\"", {"/bin/a", "prefix ed"}},
      {"/bin/a '$HOME'", {"/bin/a", "$HOME"}},
  };
  for (const auto& row : rows) {
    INFO(row.command);
    CHECK(build_arguments(row.command) == row.words);
  }
}

TEST_CASE("a command with shell constructs goes through the shell whole", "[run][script]") {
  const char* commands[] = {"a | b",  "a && b",      "a > /tmp/x", "a; b", "echo $HOME", "echo `id`", "ls *.conf",
                            "(a; b)", "KEY=value a", "a 'b",       "a\nb", "a \"$X\"",   "! a",       "a {1,2}"};
  for (const char* command : commands) {
    INFO(command);
    CHECK(build_arguments(command) == Words{"/bin/sh", "-c", command, "sh"});
  }
}

TEST_CASE("further arguments reach a command unharmed, with a shell and without", "[run][script]") {
  const Words more{"INSTANCE", "a b", "MASTER", "100"};
  CHECK(build_arguments("/bin/notify x", more) == Words{"/bin/notify", "x", "INSTANCE", "a b", "MASTER", "100"});
  CHECK(build_arguments("a | b", more) ==
        Words{"/bin/sh", "-c", "a | b \"$@\"", "sh", "INSTANCE", "a b", "MASTER", "100"});
}

TEST_CASE("the programs that a command names are known, a shell's too", "[run][script]") {
  struct Row {
    const char* command;
    Words programs;
  };
  const Row rows[] = {
      {"", {}},
      {"killall -0 haproxy", {"killall"}},
      {"/bin/a /bin/b", {"/bin/a"}},
      {"/bin/a | /bin/b; /bin/c && \"/bin/d\" x || ! /bin/e", {"/bin/a", "/bin/b", "/bin/c", "/bin/d", "/bin/e"}},
      {"KEY=value /bin/a > /tmp/x", {"/bin/a"}},
      {"if /bin/a; then exec /bin/b; fi", {"/bin/a", "/bin/b", "fi"}},
      {"(/bin/a `/bin/b`) & /bin/c", {"/bin/a", "/bin/b", "/bin/c"}},
  };
  for (const auto& row : rows) {
    INFO(row.command);
    CHECK(programs_of(row.command) == row.programs);
  }
}

TEST_CASE("an empty command is none", "[run][script]") {
  CHECK(build_arguments("").empty());
  CHECK(build_arguments("  \t").empty());
  CHECK(build_arguments("", {"x"}).empty());
}
