#pragma once

#include <chrono>
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
  std::unique_ptr<report::StatusServer> control;  // null: the run directory does not take a socket now
  std::unique_ptr<report::StatusServer> http;     // null: not asked for, or the port was taken
  std::function<std::unique_ptr<report::StatusServer>()> open_control;

  // Tries again to have the control socket, if there is none; and how long to wait before the next call.
  void retry();
  [[nodiscard]] std::chrono::seconds patience() const;
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

// Opens both. An Error only for a control socket that another instance has (on one run directory they would fight over
// addresses) or whose path no socket can have. A taken HTTP port and a run directory that is full, read-only or not
// there are logged and done without: addresses do not depend on them. `engine` outlives the doors.
Result<Doors> open_doors(const DoorOptions& options, const run::Engine& engine, AddToSnapshot add,
                         FindStuck find_stuck = {});

}  // namespace vipkeeper::cmd
