// `backstay serve`: the server process.
#pragma once

#include "app/configuration.h"

namespace CLI {
class App;
}

namespace backstay::app {

/// Adds the command to the program.
void add_serve_command(CLI::App& program);

/// Runs the server until SIGTERM or SIGINT; services keep running after it. For the main thread, before it starts
/// others.
void serve(const Configuration& configuration, const Environment& environment);

}  // namespace backstay::app
