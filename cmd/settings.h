#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/flags.h"
#include "controller/loop/controller_loop.h"
#include "controller/objects/source.h"
#include "controller/render/templates.h"
#include "engine/base/result.h"
#include "engine/run/engine.h"

// From flags and environment to what the controller is made of.
namespace vipkeeper::cmd {

// The flags' meaning, checked: addresses and CIDRs parse, the ConfigMap's name has its one slash. Environment:
// POD_NAME, POD_NAMESPACE, KEEPALIVED_NOTIFY. An Error is wrong usage (exit 2).
Result<loop::ControllerOptions> controller_options(const RunFlags& flags);

// Objects of the API server at this URL are kept in the run directory for a start without it; those of a directory
// (empty: no URL) are on disk already.
void keep_objects(const RunFlags& flags, const std::string& server, loop::ControllerOptions& options);

// The built-in templates with those of --templates in the place of theirs. The Error names the file.
Result<render::Templates> templates(const std::string& directory);

// The value of an environment variable; empty if it is not set.
std::string environment(const char* name);

// One line on standard error for each flag that is taken and means nothing here.
void warn_of_retired_flags(const RunFlags& flags);

// One line in the log where a template of kube-keepalived-vip is mounted, which is not read.
void warn_of_retired_template();

// This host's interfaces with their addresses; none, and a log line, if the kernel does not tell. Without those that
// `engine` (null: none runs here) holds, or an earlier run left: where VIPs go must not depend on which node has them.
std::vector<plan::HostInterface> host_interfaces(const run::Engine* engine);

}  // namespace vipkeeper::cmd
