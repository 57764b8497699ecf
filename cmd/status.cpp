#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <thread>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "controller/report/status_server.h"
#include "controller/report/status_table.h"

namespace vipkeeper::cmd {

namespace {

struct StatusFlags {
  std::string run_dir = "/run/vipkeeper";
  bool json = false;
  bool watch = false;
};

int print_once(const StatusFlags& flags, bool colour) {
  const auto json = report::ask(flags.run_dir + "/control.sock", "/status");
  if (!json) {
    std::cerr << "vipkeeper status: " << json.error().message << "\n";
    return 1;
  }
  if (flags.json) {
    std::cout << *json << std::flush;
    return 0;
  }
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto table = report::status_table(*json, now, colour);
  if (!table) {
    std::cerr << "vipkeeper status: " << table.error().message << "\n";
    return 1;
  }
  if (flags.watch && colour) std::cout << "\x1b[H\x1b[2J";
  std::cout << *table << std::flush;
  return 0;
}

}  // namespace

int status(int argc, char** argv) {
  CLI::App app("what the running instance on this host holds and why", "vipkeeper status");
  StatusFlags flags;
  app.add_flag("--json", flags.json, "as JSON, for programs");
  app.add_flag("--watch", flags.watch, "print again every second");
  app.add_option("--run-dir", flags.run_dir, "where the instance keeps its control socket")->capture_default_str();
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;
  const bool colour = ::isatty(STDOUT_FILENO) == 1;
  if (!flags.watch) return print_once(flags, colour);
  // An instance that restarts while being watched is waited for: that is when one watches.
  while (std::cout.good()) {
    print_once(flags, colour);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return 0;
}

}  // namespace vipkeeper::cmd
