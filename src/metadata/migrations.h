// The schema of the state store, as numbered steps. A step that was released is never edited; the next one follows it.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace soci {
class session;
}

namespace backstay::metadata {

struct Migration {
  int version = 0;
  /// Statements in SQL that SQLite and PostgreSQL share.
  std::vector<std::string_view> statements;
};

/// This program's steps, by version.
std::span<const Migration> migrations();

/// Makes the file, if there is none, before SQLite does, so that it and what SQLite puts beside it are nobody else's to
/// read. Throws Error(io_error).
void make_private(const std::filesystem::path& file);

/// Brings the state to the last of `steps`, each in a transaction of its own. A state that has a schema already is
/// copied to <file>.before-<version> first. Throws Error(state_too_new).
void migrate(soci::session& sql, const std::filesystem::path& file, std::span<const Migration> steps);

}  // namespace backstay::metadata
