#pragma once

#include <chrono>
#include <csignal>
#include <initializer_list>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

// What belongs to the process as a whole: its log, its signals, its run directory.
namespace vipkeeper::cmd {

// Log lines to standard output, one write a line, from a thread of the logger's own: a full pipe behind `kubectl logs`
// drops the oldest lines and never holds up a virtual router. `verbosity` > 0: debug lines too.
void start_log(int verbosity);

// Writes out what is queued. After it no thread may log.
void stop_log();

// Blocks the signals in this thread and all it starts; before any thread is started.
void block_signals(std::initializer_list<int> signals);

// Waits for one of the signals; nullopt after `timeout`.
std::optional<int> wait_for_signal(std::initializer_list<int> signals, std::chrono::milliseconds timeout);

// Makes the directory (mode 0700) with its parents. What cannot be is logged: addresses do not depend on it.
void make_run_dir(const std::string& path);

// This process alone on a run directory, as long as the result lives and whatever ends it: two would fight over the
// addresses and services of one record. Error already_exists: another has it. Where no lock can be had (the directory
// is full, read-only or not there) nothing is locked.
Result<UniqueFd> lock_run_dir(const std::string& path);

// The name `uname -n` gives.
std::string host_name();

}  // namespace vipkeeper::cmd
