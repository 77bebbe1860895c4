// Following an operation to its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "cli/command_context.h"
#include "core/json.h"

namespace backstay::cli {

struct WaitOptions {
  bool wait = false;
  std::int64_t timeout_s = 3600;
};
/// Adds --wait and --timeout.
void add_wait_options(CLI::App& command, WaitOptions& options);

/// One line for a terminal of `width` columns: a bar where the amount of work is known, else the step alone.
std::string render_progress(const core::json::value& operation, unsigned width);

/// Listens to the operation's events until it has ended, drawing its progress on a terminal; where the stream breaks it
/// goes on with the next, and where there is none it asks twice a second. Returns the operation as it ended. Throws the
/// operation's own error if it failed, Error(cancelled), or Error(timeout) after `at_most`; the work itself goes on
/// then.
core::json::value follow_operation(CommandContext& context, const std::string& id, std::chrono::seconds at_most);

/// For what has no events: asks for `path` until `done` says so. `what` names it in the timeout's message.
core::json::value poll_until(CommandContext& context, const std::string& path, const std::string& what,
                             std::chrono::seconds at_most, const std::function<bool(const core::json::value&)>& done);

}  // namespace backstay::cli
