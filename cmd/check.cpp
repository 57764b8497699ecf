#include <CLI/CLI.hpp>
#include <iostream>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/read_config.h"
#include "engine/config/configuration.h"

namespace vipkeeper::cmd {

int check(int argc, char** argv) {
  CLI::App app("parse and validate a keepalived.conf; exit 0 good, 5 runs with problems, 1 nothing of it can be used",
               "vipkeeper check");
  std::string file = "/etc/keepalived/keepalived.conf";
  app.add_option("-f,--file", file, "the file to judge")->capture_default_str();
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;

  const auto text = read_config(file);
  if (!text) {
    std::cerr << "vipkeeper check: " << text.error().message << "\n";
    return 1;
  }
  const config::Verdict verdict = config::check(text->sources);
  for (const auto* problems : {&text->problems, &verdict.problems}) {
    for (const auto& problem : *problems) std::cout << problem.to_string() << "\n";
  }
  if (verdict.usable) return text->problems.empty() && verdict.problems.empty() ? 0 : 5;
  std::cerr << "vipkeeper check: " << file << ": nothing of it can be used\n";
  return 1;
}

}  // namespace vipkeeper::cmd
