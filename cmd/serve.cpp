#include "cmd/serve.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "cmd/version.h"
#include "controller/report/metrics.h"
#include "controller/report/status_json.h"

namespace vipkeeper::cmd {

namespace {

report::Answers answers(const DoorOptions& options, const run::Engine& engine, const AddToSnapshot& add,
                        const FindStuck& find_stuck) {
  const auto snapshot = [node = options.node, &engine, add, started = Clock::now()] {
    status::Snapshot result = engine.snapshot();
    result.version = version_text;
    result.node = node;
    result.pid = ::getpid();
    result.uptime_seconds = std::chrono::duration<double>(Clock::now() - started).count();
    add(result);
    return result;
  };
  return {.health =
              [&engine, find_stuck] {
                std::string stuck = engine.stuck();
                if (stuck.empty() && find_stuck) stuck = find_stuck();
                return report::Answers::Verdict{stuck.empty(), stuck};
              },
          .ready =
              [&engine, add] {
                status::Snapshot source;
                add(source);
                if (source.config.generation == 0) {
                  return report::Answers::Verdict{false, "no configuration was applied yet"};
                }
                return report::Answers::Verdict{engine.settled(), "the kernel does not hold the configuration yet"};
              },
          .status = [snapshot] { return report::status_json(snapshot()); },
          .metrics = [snapshot] { return report::metrics_text(snapshot()); }};
}

}  // namespace

void Doors::retry() {
  if (control || !open_control) return;
  control = open_control();
  if (control) spdlog::info("the control socket could be created after all");
}

std::chrono::seconds Doors::patience() const { return control ? std::chrono::hours(1) : std::chrono::seconds(10); }

Result<Doors> open_doors(const DoorOptions& options, const run::Engine& engine, AddToSnapshot add,
                         FindStuck find_stuck) {
  const report::Answers all = answers(options, engine, add, find_stuck);
  Doors doors;
  const std::string path = options.run_dir + "/control.sock";
  auto control = report::StatusServer::listen_unix(path, all);
  if (control) {
    doors.control = std::move(*control);
  } else if (control.error().code != ErrorCode::io) {
    return std::unexpected(control.error());
  } else {
    spdlog::error("{}; `vipkeeper status` has no answer until that is possible", control.error().message);
    doors.open_control = [path, all] {
      auto opened = report::StatusServer::listen_unix(path, all);
      return opened ? std::move(*opened) : nullptr;
    };
  }
  if (options.http_port) {
    auto http = report::StatusServer::listen_tcp(options.http_address, *options.http_port, all);
    if (http) {
      doors.http = std::move(*http);
      spdlog::info("serving HTTP on {} port {}", options.http_address.empty() ? "all addresses" : options.http_address,
                   doors.http->port());
    } else {
      spdlog::error("{}", http.error().message);
    }
  }
  return doors;
}

}  // namespace vipkeeper::cmd
