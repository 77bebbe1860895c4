#include "control/client_access.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using core::Code;
using core::Error;

struct Client {
  model::Token key;
  Principal allowed;
  /// When the text ends that it showed, if it does.
  std::optional<core::Timestamp> until;
};

/// Whose text it is; nothing for one that is no key's.
std::optional<std::string> key_of(const model::Token& token) {
  if (token.kind == model::TokenKind::kKey) return token.id;
  if (token.kind == model::TokenKind::kFormer) return token.key_id;
  return std::nullopt;
}

Client require_client(metadata::Transaction& tx, const AccessRequest& request, core::Timestamp now) {
  const auto shown = usable_token(tx, request.client_secret.reveal(), now);
  if (shown && key_of(*shown) == request.client_id) {
    auto key = metadata::Tokens(tx).find(request.client_id).value();
    if (auto allowed = principal_of(tx, key)) return {std::move(key), *std::move(allowed), shown->expires_at};
  }
  throw Error(Code::kUnauthenticated, "the client is unknown, or its secret is wrong, expired or revoked");
}

/// A team that the key does not see is told no differently than one that is not there.
std::vector<std::int64_t> team_ids(metadata::Transaction& tx, const std::vector<std::string>& slugs,
                                   const Principal& allowed) {
  std::vector<std::int64_t> ids;
  for (const auto& slug : slugs) {
    const auto team = metadata::Teams(tx).find_by_slug(slug);
    if (!team || !allowed.sees_team(team->id)) {
      throw Error(Code::kForbidden, fmt::format("the client sees no team '{}'", slug));
    }
    ids.push_back(team->id);
  }
  return ids;
}

}  // namespace

CreatedToken ClientAccess::grant(const AccessRequest& request) {
  auto made = new_token(random_, clock_.now());
  // Whoever has no key takes no turn among those who write.
  database_.read([&](auto& tx) {
    const auto client = require_client(tx, request, clock_.now());
    for (const auto& scope : request.scopes) require_scope(client.allowed, scope);
    made.token.kind = model::TokenKind::kAccess;
    made.token.name = client.key.name;
    made.token.account_id = client.key.account_id;
    made.token.key_id = client.key.id;
    made.token.scopes = request.scopes;
    made.token.all_teams = !request.team_slugs && client.allowed.all_teams;
    if (request.team_slugs) {
      made.token.team_ids = team_ids(tx, *request.team_slugs, client.allowed);
    } else {
      made.token.team_ids.assign(client.allowed.team_ids.begin(), client.allowed.team_ids.end());
    }
    made.token.grants = request.grants;
    made.token.expires_at = clock_.now() + kLength;
    if (client.until) made.token.expires_at = std::min(*made.token.expires_at, *client.until);
  });
  database_.write([&](auto& tx) {
    metadata::Tokens(tx).insert(made.token);
    metadata::Tokens(tx).touch(made.token.key_id, clock_.now());
  });
  return made;
}

}  // namespace backstay::control
