// The command line client: commands over the house API of a running server.
//
// Exit codes: 0 done, 1 failed (the work itself, or the server), 2 wrong usage, 3 not found, 4 refused by the server,
// 5 the server cannot be reached.
#pragma once

namespace CLI {
class App;
}

namespace backstay::cli {

class CommandContext;

/// Adds `providers`, `services`, `backups`, `recover`, `window`, `operations`, `events`, `destinations`, `tokens` and
/// `teams`. Their callbacks print what they have to say and throw CLI::RuntimeError(exit code) when they fail.
void add_house_commands(CLI::App& program);
/// The same in a given world, which outlives the program; for tests.
void add_house_commands(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
