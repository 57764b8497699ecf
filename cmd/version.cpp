#include "cmd/version.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "cmd/commands.h"
#include "cmd/flags.h"

namespace vipkeeper::cmd {

int version(int argc, char** argv) {
  CLI::App app("print the version", "vipkeeper version");
  bool json = false;
  app.add_flag("--json", json, "as JSON");
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;
  if (json) {
    std::cout << "{\"version\":\"" << version_text << "\"}\n";
  } else {
    std::cout << "vipkeeper " << version_text << "\n";
  }
  return 0;
}

}  // namespace vipkeeper::cmd
