#include "model/team.h"

#include <algorithm>

namespace backstay::model {

namespace {
constexpr std::size_t kLongestSlug = 63;
}

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

bool is_usable(const Token& token, core::Timestamp now) {
  return !token.revoked_at && (!token.expires_at || now < *token.expires_at);
}

bool allows_scope(const Token& token, std::string_view scope) {
  return std::ranges::any_of(token.scopes, [scope](const std::string& held) {
    return held == scope || held == kScopeAdmin || (held == kScopeWrite && scope == kScopeRead);
  });
}

bool allows_team(const Token& token, std::int64_t team_id) {
  return token.all_teams || std::ranges::find(token.team_ids, team_id) != token.team_ids.end();
}

}  // namespace backstay::model
