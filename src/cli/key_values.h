// KEY=VALUE arguments as JSON objects, and secrets that never stand on a command line.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"
#include "core/json.h"
#include "os/file_system.h"

namespace backstay::cli {

/// "key=text" is a string, "key:=json" any JSON value. Throws Error(config_error) that quotes a text of another form.
core::json::object parse_key_values(const std::vector<std::string>& texts);
/// "key=number": integers only, as plan parameters are.
core::json::object parse_numbers(const std::vector<std::string>& texts);

/// Secrets by key: from files ("key=FILE", "-" for standard input; one line end at the end is dropped) and from
/// questions on the terminal ("key"). Throws Error(config_error) where nobody can answer.
core::json::object read_secrets(const std::vector<std::string>& files, const std::vector<std::string>& questions,
                                os::FileSystem& file_system, Terminal& terminal);

}  // namespace backstay::cli
