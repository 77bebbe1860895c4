// What restoring a backup and looking at the copy has shown.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/time.h"

namespace backstay::model {

enum class VerificationOutcome {
  kVerified,  ///< the restored copy works
  kFailed,    ///< the backup was not restored to something that works
  kNotRun     ///< it could not be tried yet: no room, no store; says nothing of the backup
};
std::string_view to_text(VerificationOutcome outcome);

/// The last one of a backup.
struct Verification {
  VerificationOutcome outcome = VerificationOutcome::kNotRun;
  core::Timestamp at{};
  /// Another one could not be tried since; what was known holds.
  std::optional<core::Timestamp> not_run_at{};
  /// What was found, or why it could not be tried, and what to do; empty if all is well.
  std::string problem{};
  std::string next_step{};
  /// From nothing to the first answer of the restored server, and to a server that serves.
  std::optional<core::Duration> first_query_time{};
  std::optional<core::Duration> recovery_time{};
  /// What was looked at: "databases", "relations", "pages", "notes" …
  core::json::object checks{};
};

core::json::object to_json(const Verification& verification);
/// Nothing for an empty object: it was never tried.
std::optional<Verification> verification_from_json(const core::json::object& object);

}  // namespace backstay::model
