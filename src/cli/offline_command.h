// What commands without a server have in common: a signal stops them, errors become exit codes, progress is drawn.
//
// Exit codes are those of exit_code.h (here 4 means that the target is out of reach), and 6: damage was found.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "core/json.h"

namespace CLI {
class App;
}

namespace backstay::cli {

inline constexpr int kProblemsFound = 6;
inline constexpr int kOutOfReach = 4;

/// Makes `run` the command's callback. SIGINT and SIGTERM request the stop; an Error is printed with its hint and
/// becomes an exit code.
void set_offline_callback(CLI::App& command, std::function<void(std::stop_token)> run);

/// Draws progress on standard error if a person looks, and nothing otherwise.
backup::ProgressCallback draw_progress();
/// Ends the line that was drawn.
void end_progress();

/// Adds -o/--output table|json.
void add_output_option(CLI::App& command, std::string& output);
/// Prints the JSON if `output` is "json", else the text.
void print_result(const std::string& output, const core::json::value& value, const std::string& text);

}  // namespace backstay::cli
