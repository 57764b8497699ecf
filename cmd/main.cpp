#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

#include "cmd/commands.h"
#include "controller/kube/loop.h"

namespace {

struct Command {
  std::string_view name;
  int (*function)(int, char**);
  std::string_view summary;
};

using namespace vipkeeper;

constexpr std::array commands = {
    Command{"run", cmd::run, "controller and engine, what the DaemonSet starts (the default)"},
    Command{"engine", cmd::engine, "the engine alone, fed with a keepalived.conf"},
    Command{"check", cmd::check, "parse and validate a keepalived.conf"},
    Command{"render", cmd::render, "print the keepalived.conf that run would feed the engine"},
    Command{"plan", cmd::plan, "print the kernel operations that would be done now, do none"},
    Command{"status", cmd::status, "what the running instance on this host holds and why"},
    Command{"version", cmd::version, "print the version"},
};

void print_usage(std::ostream& out) {
  out << "usage: vipkeeper [COMMAND] FLAGS\n\n";
  for (const Command& command : commands) {
    out << "  " << command.name << std::string(10 - command.name.size(), ' ') << command.summary << "\n";
  }
  out << "\n`vipkeeper COMMAND --help` lists the flags of a command.\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "help" || first == "--help" || first == "-h") {
    print_usage(std::cout);
    return 0;
  }
  if (first == "--version") return cmd::version(1, argv);
  const auto* const found = std::ranges::find(commands, first, &Command::name);
  if (found != commands.end()) return kube::leave(found->function(argc - 1, argv + 1));
  if (!first.empty() && first.front() != '-') {
    std::cerr << "vipkeeper: unknown command '" << first << "'\n";
    print_usage(std::cerr);
    return 2;
  }
  // An existing kube-keepalived-vip manifest names no command, only flags.
  return kube::leave(cmd::run(argc, argv));
}
