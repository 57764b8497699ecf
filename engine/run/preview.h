#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/config/config.h"

namespace vipkeeper::run {

// What is known of the instance that runs on this host; all empty: none runs.
struct RunningInstance {
  std::set<std::string> active_routers;  // names of the virtual routers in state MASTER
  // Real servers whose checks fail: "tcp 192.0.2.10:80" and "10.0.0.7:8080".
  std::set<std::pair<std::string, std::string>> dead_real_servers;
};

struct Preview {
  std::vector<std::string> operations;  // in the order in which they would be done
  std::vector<std::string> problems;    // what of the text is left out or corrected
  std::vector<std::string> errors;      // why a part could not be compared with the kernel, or nothing of the text used
};

// The operations that would make this kernel (addresses, virtual services, real servers, masquerading rules) what the
// text says, without doing any. Reads the kernel and the ownership record under `run_dir`; needs NET_ADMIN to read
// IPVS.
Preview preview(const config::FragmentChange& text, const std::string& run_dir, const RunningInstance& running);

}  // namespace vipkeeper::run
