// pg_dump and pg_restore: what to run for one database, and what their words mean.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "os/process.h"
#include "postgres/connection.h"
#include "postgres/installation.h"

namespace backstay::postgres {

/// Why the installation cannot dump, in words; nothing if it can.
std::optional<std::string> dump_problem(const Installation& installation);

/// What the programs work with. The connection must be one over a socket directory; only the programs' own user needs
/// to reach `directory`, where the dump lies in pg_dump's directory form.
struct DumpTask {
  const Installation& installation;
  ConnectionTarget connection = {};
  std::filesystem::path directory = {};
  std::optional<os::Identity> identity = {};
  unsigned jobs = 2;
};

/// The longest table of contents that a dump may have, in bytes.
constexpr std::size_t kMostContents = std::size_t{1} << 30;

/// Dumps connection.database into the directory, which is empty, uncompressed. The same rows are the same text,
/// whatever zone and form of bytes the server, the database or the role has set.
os::Command dump_command(const DumpTask& task);
/// Writes the dump's table of contents to its standard output.
os::Command contents_command(const DumpTask& task);
/// What contents_command wrote. Throws recovery_failed if it failed, or if there may have been more than it keeps.
std::string whole_contents(os::CommandResult listed, std::size_t limit = kMostContents);
/// Restores into connection.database, everything owned by connection.user and without privileges of others, up to the
/// first error. `contents`: a file with the entries that are wanted, made from the output of contents_command.
os::Command restore_command(const DumpTask& task, const std::filesystem::path& contents);
/// Writes the dump as SQL to its standard output; what it makes belongs to whoever runs it.
os::Command script_command(const DumpTask& task);

/// The table of contents without what needs rights beyond the database's owner's and was made before: these extensions
/// with their comments, and these schemas.
std::string without_made(std::string_view contents, std::span<const std::string> extensions,
                         std::span<const std::string> schemas);

/// What a program that failed says, with the object that it concerns: "FUNCTION f(integer): ERROR: …". Code
/// disk_full where that is why, unavailable if it was ended by a signal, else `code`.
core::Error dump_error(const os::CommandResult& result, core::Code code);

}  // namespace backstay::postgres
