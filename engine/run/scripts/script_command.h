#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vipkeeper::run {

// The words of a command line as keepalived's configuration writes them: quotes ("..." and '...') and backslashes are
// taken off. A command that means more than words to a shell (variables, pipes, redirections, patterns, assignments,
// open quotes) becomes `/bin/sh -c COMMAND`. `arguments` are appended as they are, also there. Empty for an empty
// command.
std::vector<std::string> build_arguments(std::string_view command, const std::vector<std::string>& arguments = {});

// The programs that `command` names: its first word; of one for a shell, the first word of each command in it as far as
// that can be seen without being a shell (words of the shell's own are among them, what a variable holds is not).
std::vector<std::string> programs_of(std::string_view command);

}  // namespace vipkeeper::run
