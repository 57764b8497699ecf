#pragma once

// One function a subcommand; argv[0] is the subcommand's own name. Returns the exit code of interface.md: 0 done, 1
// could not, 2 wrong usage, 5 done with problems.
namespace vipkeeper::cmd {

int run(int argc, char** argv);
int engine(int argc, char** argv);
int check(int argc, char** argv);
int render(int argc, char** argv);
int plan(int argc, char** argv);
int status(int argc, char** argv);
int version(int argc, char** argv);

}  // namespace vipkeeper::cmd
