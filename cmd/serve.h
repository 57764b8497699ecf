#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/report/status_server.h"
#include "engine/base/result.h"
#include "engine/run/engine.h"

// The operator's doors of a running instance: control socket and HTTP, answering from the engine and the
// configuration's source.
namespace vipkeeper::cmd {

struct Doors {
  std::unique_ptr<report::StatusServer> control;
  std::unique_ptr<report::StatusServer> http;  // null: not asked for, or the port was taken
};

struct DoorOptions {
  std::string run_dir;
  std::string node;
  std::string http_address;      // empty: all
  std::optional<int> http_port;  // nullopt: no HTTP
};

// What the source of the configuration adds to the engine's part of the snapshot.
using AddToSnapshot = std::function<void(status::Snapshot&)>;

// What keeps another thread from answering; empty: nothing does.
using FindStuck = std::function<std::string()>;

// Opens both. An Error only for the control socket: a second instance on one run directory would fight over addresses.
// A taken HTTP port is logged and done without. `engine` outlives the doors.
Result<Doors> open_doors(const DoorOptions& options, const run::Engine& engine, AddToSnapshot add,
                         FindStuck find_stuck = {});

}  // namespace vipkeeper::cmd
