#pragma once

#include <string>
#include <vector>

#include "cmd/flags.h"
#include "engine/base/result.h"
#include "engine/config/config.h"

// For the commands that look once and end: render and plan.
namespace vipkeeper::cmd {

struct RenderedOnce {
  config::FragmentChange fragments;
  std::vector<std::string> problems;  // "error: OBJECT: MESSAGE"
};

// Reads the source that the flags name, plans and renders. Error invalid_input: wrong usage.
Result<RenderedOnce> render_once(const RunFlags& flags);

}  // namespace vipkeeper::cmd
