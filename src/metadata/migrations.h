// The schema of the state store, as numbered steps. A step that was released is never edited; the next one follows it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace soci {
class session;
}

namespace backstay::metadata {

class BackEnd;

struct Migration {
  int version = 0;
  /// Statements in SQL that SQLite and PostgreSQL share.
  std::vector<std::string_view> statements;
};

/// This program's steps, by version.
std::span<const Migration> migrations();

/// Brings the state to the last of `steps`, each in a transaction of its own, while no other program does; what the
/// back end cannot undo is kept first. Throws Error(state_too_new).
void migrate(const BackEnd& back_end, soci::session& sql, std::span<const Migration> steps);

}  // namespace backstay::metadata
