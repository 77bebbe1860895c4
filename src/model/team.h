// Teams and the tokens that act for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.h"
#include "core/time.h"

namespace backstay::model {

struct Team {
  /// 0 lets the store choose the next one when the team is added.
  std::int64_t id = 0;
  std::string name{};
  std::string slug{};
  /// The team's key as the recovery kit prints it; empty until the team's first destination is made.
  core::Secret recovery_key{};
  std::optional<core::Timestamp> kit_fetched_at{};
  core::Timestamp created_at{};
};

/// A slug made of a name: lower case letters, digits and single hyphens, at most 63 characters, never empty.
std::string slug_of(std::string_view name);

/// What a token may do. "admin" includes everything, "write" includes what follows it here, and whoever may do anything
/// to a service may read it. "metrics" reads the metrics and nothing else.
inline constexpr std::string_view kScopeAdmin = "admin";
inline constexpr std::string_view kScopeWrite = "write";
inline constexpr std::string_view kScopeChange = "change";
inline constexpr std::string_view kScopeDelete = "delete";
inline constexpr std::string_view kScopeRecoverInPlace = "recover-in-place";
inline constexpr std::string_view kScopeRead = "read";
inline constexpr std::string_view kScopeMetrics = "metrics";

bool is_scope(std::string_view word);
/// Named sets of scopes: "viewer" reads, "operator" reads and changes, "admin" does everything. Nothing for another
/// word.
std::optional<std::vector<std::string>> scopes_of_role(std::string_view role);

struct Token {
  std::string id{};
  std::string name{};
  /// SHA-256 of the token in hexadecimal; the token itself is nowhere.
  std::string hash{};
  std::vector<std::string> scopes{};
  bool all_teams = false;
  std::vector<std::int64_t> team_ids{};
  core::Timestamp created_at{};
  std::optional<core::Timestamp> expires_at{};
  std::optional<core::Timestamp> last_used_at{};
  std::optional<core::Timestamp> revoked_at{};
};

bool is_usable(const Token& token, core::Timestamp now);
bool allows_scope(const Token& token, std::string_view scope);
/// All that the token may do, but for what "admin" and "write" only sum up.
std::vector<std::string_view> permissions(const Token& token);
/// The greatest role whose scopes the token has; empty if there is none.
std::string_view role_of(const Token& token);
bool allows_team(const Token& token, std::int64_t team_id);

}  // namespace backstay::model
