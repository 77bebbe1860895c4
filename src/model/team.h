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
///
/// The scopes with a colon are for services alone, or for backups alone: "read", "change" and "delete" include those of
/// both, and whoever may do anything to one of the two may read it.
inline constexpr std::string_view kScopeAdmin = "admin";
inline constexpr std::string_view kScopeWrite = "write";
inline constexpr std::string_view kScopeChange = "change";
inline constexpr std::string_view kScopeDelete = "delete";
inline constexpr std::string_view kScopeRecoverInPlace = "recover-in-place";
inline constexpr std::string_view kScopeRead = "read";
inline constexpr std::string_view kScopeMetrics = "metrics";
inline constexpr std::string_view kScopeServicesRead = "services:read";
inline constexpr std::string_view kScopeServicesWrite = "services:write";
inline constexpr std::string_view kScopeServicesDelete = "services:delete";
inline constexpr std::string_view kScopeBackupsRead = "backups:read";
inline constexpr std::string_view kScopeBackupsWrite = "backups:write";
/// To have the data of a backup: as SQL, or in a new service.
inline constexpr std::string_view kScopeBackupsRecover = "backups:recover";
inline constexpr std::string_view kScopeBackupsDelete = "backups:delete";

bool is_scope(std::string_view word);
/// The scope that includes this one of a part: "read" for "backups:read"; nothing for a scope of no part.
std::optional<std::string_view> whole_of(std::string_view scope);
/// Named sets of scopes: "viewer" reads, "operator" reads and changes, "admin" does everything. Nothing for another
/// word.
std::optional<std::vector<std::string>> scopes_of_role(std::string_view role);

enum class TokenKind {
  kKey,      ///< made by somebody, lives until it is revoked or expires
  kSession,  ///< of a login
  kAccess,   ///< of a client that showed a key; short-lived, and no longer than the key
  kFormer,   ///< the text that a key had before; short-lived as well
  kRefresh,  ///< opens nothing but the next session of its account
};
std::string_view to_text(TokenKind kind);
TokenKind token_kind_from_text(std::string_view text);

struct Token {
  std::string id{};
  TokenKind kind = TokenKind::kKey;
  std::string name{};
  /// SHA-256 of the token in hexadecimal; the token itself is nowhere.
  std::string hash{};
  std::vector<std::string> scopes{};
  bool all_teams = false;
  std::vector<std::int64_t> team_ids{};
  /// Whose it is: it never allows more than the account does. Empty: nobody's, made by an administrator.
  std::string account_id{};
  /// Of a former text: its key. Of a session: what refreshes it, if anything. Of an access token: the key that was
  /// shown for it, and what was granted in the words of the client's dialect.
  std::string key_id{};
  std::vector<std::string> grants{};
  core::Timestamp created_at{};
  std::optional<core::Timestamp> expires_at{};
  std::optional<core::Timestamp> last_used_at{};
  std::optional<core::Timestamp> revoked_at{};
};

bool is_usable(const Token& token, core::Timestamp now);
bool allows_scope(const Token& token, std::string_view scope);
/// All that the token may do, but for what "admin" and "write" only sum up, and for parts of what is named.
std::vector<std::string_view> permissions(const Token& token);
/// The greatest role whose scopes the token has; empty if there is none.
std::string_view role_of(const Token& token);
bool allows_team(const Token& token, std::int64_t team_id);

}  // namespace backstay::model
