#include "model/team.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/text.h"
#include "model/words.h"

namespace backstay::model {

namespace {

constexpr std::size_t kLongestSlug = 63;
constexpr std::array kPermissions{kScopeRead,           kScopeChange, kScopeDelete,
                                  kScopeRecoverInPlace, kScopeAdmin,  kScopeMetrics};
/// Scopes of parts, and the scopes that include them.
struct PartScope {
  std::string_view name;
  std::string_view whole;
};
constexpr std::array<PartScope, 7> kPartScopes{{{kScopeServicesRead, kScopeRead},
                                                {kScopeServicesWrite, kScopeChange},
                                                {kScopeServicesDelete, kScopeDelete},
                                                {kScopeBackupsRead, kScopeRead},
                                                {kScopeBackupsWrite, kScopeChange},
                                                {kScopeBackupsRecover, kScopeChange},
                                                {kScopeBackupsDelete, kScopeDelete}}};
constexpr Words<TokenKind, 5> kTokenKinds{{{TokenKind::kKey, "key"},
                                           {TokenKind::kSession, "session"},
                                           {TokenKind::kAccess, "access"},
                                           {TokenKind::kFormer, "former"},
                                           {TokenKind::kRefresh, "refresh"}}};

struct Role {
  std::string_view name;
  /// With spaces between.
  std::string_view scopes;
};
/// The greatest first.
constexpr std::array<Role, 3> kRoles{{{"admin", "admin"}, {"operator", "read change"}, {"viewer", "read"}}};

/// Neither is of a part.
bool includes_whole(std::string_view held, std::string_view scope) {
  if (held == scope || held == kScopeAdmin) return true;
  if (held == kScopeMetrics || scope == kScopeAdmin || scope == kScopeMetrics) return false;
  return held == kScopeWrite || scope == kScopeRead;
}

/// "backups" of "backups:read".
std::string_view part_of(std::string_view scope) { return scope.substr(0, scope.find(':')); }

bool includes(std::string_view held, std::string_view scope) {
  const auto whole = whole_of(scope);
  if (!whole_of(held)) return includes_whole(held, whole.value_or(scope));
  if (!whole) return false;
  return held == scope || (*whole == kScopeRead && part_of(held) == part_of(scope));
}

}  // namespace

std::string slug_of(std::string_view name) {
  std::string slug;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      slug += upper ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
  }
  slug.resize(std::min(slug.size(), kLongestSlug));
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "team" : slug;
}

std::string_view to_text(TokenKind kind) { return word_of(kTokenKinds, kind); }
TokenKind token_kind_from_text(std::string_view text) { return value_of(kTokenKinds, text, "the kind of token"); }

bool is_usable(const Token& token, core::Timestamp now) {
  return !token.revoked_at && (!token.expires_at || now < *token.expires_at);
}

bool allows_scope(const Token& token, std::string_view scope) {
  return std::ranges::any_of(token.scopes, [scope](const std::string& held) { return includes(held, scope); });
}

bool is_scope(std::string_view word) {
  return word == kScopeWrite || whole_of(word) || std::ranges::find(kPermissions, word) != kPermissions.end();
}

std::optional<std::string_view> whole_of(std::string_view scope) {
  const auto found = std::ranges::find(kPartScopes, scope, &PartScope::name);
  if (found == kPartScopes.end()) return std::nullopt;
  return found->whole;
}

std::optional<std::vector<std::string>> scopes_of_role(std::string_view role) {
  const auto found = std::ranges::find(kRoles, role, &Role::name);
  if (found == kRoles.end()) return std::nullopt;
  return core::split(found->scopes, ' ');
}

std::vector<std::string_view> permissions(const Token& token) {
  std::vector<std::string_view> allowed;
  std::ranges::copy_if(kPermissions, std::back_inserter(allowed),
                       [&](const auto& scope) { return allows_scope(token, scope); });
  for (const auto& part : kPartScopes) {
    if (!allows_scope(token, part.whole) && allows_scope(token, part.name)) allowed.push_back(part.name);
  }
  return allowed;
}

std::string_view role_of(const Token& token) {
  const auto found = std::ranges::find_if(kRoles, [&](const Role& role) {
    return std::ranges::all_of(core::split(role.scopes, ' '),
                               [&](const std::string& scope) { return allows_scope(token, scope); });
  });
  return found == kRoles.end() ? "" : found->name;
}

bool allows_team(const Token& token, std::int64_t team_id) {
  return token.all_teams || std::ranges::find(token.team_ids, team_id) != token.team_ids.end();
}

}  // namespace backstay::model
