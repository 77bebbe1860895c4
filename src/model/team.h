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

/// "admin" includes everything, "write" includes "read".
inline constexpr std::string_view kScopeAdmin = "admin";
inline constexpr std::string_view kScopeWrite = "write";
inline constexpr std::string_view kScopeRead = "read";

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
bool allows_team(const Token& token, std::int64_t team_id);

}  // namespace backstay::model
