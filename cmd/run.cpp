// `vipkeeper run`: controller and engine in one process, what the DaemonSet starts. Wiring only.
//
// Start: log, run directory, engine (adopts what a crash left), doors (status is there while the rest comes up),
// reporter, controller, source. Shutdown is the reverse: what comes from and goes to the cluster first, then the
// controller, then the engine, which gives the addresses up, and the control socket, so that `vipkeeper status` can
// watch it go. The objects for a start without the API server are written last, when nobody waits for this node any
// more.

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/process.h"
#include "cmd/reporting.h"
#include "cmd/serve.h"
#include "cmd/settings.h"
#include "cmd/sources.h"
#include "cmd/version.h"
#include "controller/loop/controller_loop.h"
#include "engine/run/engine.h"

namespace vipkeeper::cmd {

namespace {

constexpr auto state_file = "/var/run/keepalived.state";

struct Parts {
  loop::ControllerOptions options;
  render::Templates templates;
  std::unique_ptr<Source> source;
};

int serve(const RunFlags& flags, Parts parts) {
  auto engine = run::Engine::start({.run_dir = flags.run_dir,
                                    .state_file = state_file,
                                    .dry_run = flags.dry_run,
                                    .release_vips = flags.release_vips});
  if (!engine) {
    spdlog::error("{}", engine.error().message);
    return 1;
  }
  const std::string node = flags.node_name.empty() ? parts.options.plan.host_name : flags.node_name;
  const auto reporter = flags.dry_run ? nullptr : make_reporter(parts.options.plan, node, *parts.source, **engine);
  loop::ControllerLoop controller(std::move(parts.options), std::move(parts.templates),
                                  {.apply =
                                       [&engine](const config::FragmentChange& change) {
                                         run::ApplyReport report = (*engine)->apply(change);
                                         return loop::EngineAnswer{report.applied, std::move(report.problems)};
                                       },
                                   .read_interfaces = [&engine] { return host_interfaces(engine->get()); },
                                   .report = news_to(reporter.get())});
  const auto add = [&controller, &reporter, &source = *parts.source](status::Snapshot& snapshot) {
    auto host_problems = std::move(snapshot.config.problems);
    snapshot.config = controller.status();
    snapshot.config.problems.insert(snapshot.config.problems.begin(), host_problems.begin(), host_problems.end());
    snapshot.counters.merge(controller.counters());
    snapshot.counters.merge(source.counters());
    if (!reporter) return;
    for (auto& problem : reporter->problems()) snapshot.config.problems.push_back(std::move(problem));
    snapshot.counters.merge(reporter->counters());
  };
  auto doors = open_doors({flags.run_dir, node, flags.http_address, flags.http_port}, **engine, add,
                          [&controller] { return controller.stuck(); });
  if (!doors) {
    spdlog::error("{}", doors.error().message);
    return 1;
  }
  parts.source->objects().start([&controller](objects::ObjectBatch batch) { controller.put(std::move(batch)); });

  while (!wait_for_signal({SIGTERM, SIGINT}, doors->patience())) doors->retry();
  spdlog::info("Stopping");
  if (reporter) reporter->stop();
  parts.source->stop();
  controller.stop();
  doors->http.reset();
  (*engine)->stop();
  doors->control.reset();
  spdlog::info("Stopped");
  return 0;
}

int start(const RunFlags& flags) {
  auto options = controller_options(flags);
  if (!options) {
    std::cerr << "vipkeeper run: " << options.error().message << "; see `vipkeeper run --help`\n";
    return 2;
  }
  block_signals({SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ});
  start_log(flags.verbosity);
  spdlog::info("Starting vipkeeper {}", version_text);
  warn_of_retired_template();
  auto own_templates = templates(flags.templates);
  if (!own_templates) {
    // A template that does not parse must not take the addresses down with it: the built-in ones do the same job.
    spdlog::error("{}; going on with the built-in templates", own_templates.error().message);
  }
  auto source = Source::create(flags, options->plan);
  if (source) keep_objects(flags, (*source)->server(), *options);
  make_run_dir(flags.run_dir);
  const auto alone = flags.dry_run ? Result<UniqueFd>() : lock_run_dir(flags.run_dir);
  int result = 1;
  if (!alone) {
    spdlog::error("{}", alone.error().message);
  } else if (!source) {
    spdlog::error("{}", source.error().message);
  } else {
    result =
        serve(flags, {std::move(*options), own_templates ? std::move(*own_templates) : render::Templates::built_in(),
                      std::move(*source)});
  }
  stop_log();
  return result;
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("controller and engine", "vipkeeper run");
  RunFlags flags;
  add_run_flags(app, flags);
  int exit_code = 0;
  if (!parse(app, argc, argv, exit_code)) return exit_code;
  warn_of_retired_flags(flags);
  return start(flags);
}

}  // namespace vipkeeper::cmd
