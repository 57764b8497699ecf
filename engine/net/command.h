#pragma once

#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/result.h"

namespace vipkeeper::net {

// Runs a program with `input` on its standard input and returns its standard output. A name without a slash is looked
// up in PATH. Blocks until it has ended, `timeout` at most: then it is killed, and even if the kernel does not let it
// go this returns, a second later. Errors: unsupported (there is no such program), unavailable (it took too long), io
// (it ended otherwise than with 0; the text has the first line that it wrote to standard error). Its environment is
// PATH and LANG=C; no signal is blocked in it.
Result<std::string> run_command(const std::vector<std::string>& words, const std::string& input, Duration timeout);

}  // namespace vipkeeper::net
