#include "controller/render/renderer.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/one_shot.h"
#include "cmd/settings.h"

namespace vipkeeper::cmd {

int render(int argc, char** argv) {
  CLI::App app("print the keepalived.conf that `run` would feed the engine", "vipkeeper render");
  RunFlags flags;
  add_run_flags(app, flags);
  app.add_flag("--strict", flags.strict, "exit 5 if there is any problem");
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;
  warn_of_retired_flags(flags);
  const auto text = render_once(flags);
  if (!text) {
    std::cerr << "vipkeeper render: " << text.error().message << "\n";
    return text.error().code == ErrorCode::invalid_input ? 2 : 1;
  }
  for (const std::string& problem : text->problems) std::cerr << problem << "\n";
  std::cout << render::compose(text->fragments);
  return flags.strict && !text->problems.empty() ? 5 : 0;
}

}  // namespace vipkeeper::cmd
