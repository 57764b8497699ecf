#include <CLI/CLI.hpp>
#include <iostream>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/one_shot.h"
#include "cmd/read_config.h"
#include "cmd/settings.h"
#include "controller/report/running_view.h"
#include "controller/report/status_server.h"
#include "engine/config/configuration.h"
#include "engine/run/preview.h"

namespace vipkeeper::cmd {

namespace {

// Who is Active and which real servers are dead only the running instance knows; without one, nobody and none.
run::RunningInstance running_instance(const std::string& run_dir) {
  const auto json = report::ask(run_dir + "/control.sock", "/status");
  if (!json) return {};
  auto view = report::parse_running_view(*json);
  if (!view) return {};
  return {std::move(view->active_routers), std::move(view->dead_real_servers)};
}

Result<RenderedOnce> text_of_file(const std::string& file) {
  const auto text = read_config(file);
  if (!text) return std::unexpected(Error{ErrorCode::io, text.error().message});
  RenderedOnce result{config::split(text->sources, {}), {}};
  for (const auto& problem : text->problems) result.problems.push_back(problem.to_string());
  return result;
}

}  // namespace

int plan(int argc, char** argv) {
  CLI::App app("print the kernel operations that would be done now, do none", "vipkeeper plan");
  RunFlags flags;
  std::string file;
  add_run_flags(app, flags);
  app.add_option("-f,--file", file, "plan for this keepalived.conf instead of the cluster's objects");
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;
  warn_of_retired_flags(flags);
  const auto text = file.empty() ? render_once(flags) : text_of_file(file);
  if (!text) {
    std::cerr << "vipkeeper plan: " << text.error().message << "\n";
    return text.error().code == ErrorCode::invalid_input ? 2 : 1;
  }
  for (const std::string& problem : text->problems) std::cerr << problem << "\n";
  const run::Preview preview = run::preview(text->fragments, flags.run_dir, running_instance(flags.run_dir));
  for (const std::string& operation : preview.operations) std::cout << operation << "\n";
  for (const std::string& problem : preview.problems) std::cerr << problem << "\n";
  for (const std::string& error : preview.errors) std::cerr << "vipkeeper plan: " << error << "\n";
  if (!preview.errors.empty()) return 1;
  return text->problems.empty() && preview.problems.empty() ? 0 : 5;
}

}  // namespace vipkeeper::cmd
