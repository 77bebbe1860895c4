// The command line: one program for the server, the offline commands and the client.
#pragma once

#include <span>

namespace backstay::app {

/// Runs the program; returns its exit code: 0 done, 1 failed (with "error: …" and "hint: …" on standard error),
/// 2 wrong usage, or what a command itself chose.
int run_program(int argc, const char* const* argv);

}  // namespace backstay::app
