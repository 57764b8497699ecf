#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/read_file.h"
#include "engine/config/configuration.h"

namespace vipkeeper::cmd {

int check(int argc, char** argv) {
  CLI::App app("parse and validate a keepalived.conf; exit 0 good, 1 unusable, 5 problems to run with",
               "vipkeeper check");
  std::string file = "/etc/keepalived/keepalived.conf";
  app.add_option("-f,--file", file, "the file to judge")->capture_default_str();
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;

  const auto text = read_file(file);
  if (!text) {
    std::cerr << "vipkeeper check: " << text.error().message << "\n";
    return 1;
  }
  const auto problems = config::check_text(file, *text);
  for (const auto& problem : problems) std::cout << problem.to_string() << "\n";
  if (problems.empty()) return 0;
  const bool unusable = std::ranges::any_of(
      problems, [](const config::Problem& problem) { return problem.severity == config::Severity::error; });
  return unusable ? 1 : 5;
}

}  // namespace vipkeeper::cmd
