// The part of ServiceCommands that speaks of teams, tokens and recovery kits.
#include "control/accounts.h"
#include "control/idempotency.h"
#include "control/refusals.h"
#include "control/service_commands.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metadata/accounts.h"
#include "metadata/destinations.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

constexpr std::size_t kLongestName = 100;
constexpr std::string_view kScopeWords =
    "read, write, change, delete, recover-in-place, admin or metrics, or for a part services:read, services:write, "
    "services:delete, backups:read, backups:write, backups:recover or backups:delete";
/// When a token was last used is known to the minute: not every request writes.
constexpr auto kTouchInterval = std::chrono::minutes(1);

void check_name(Refusals& refusals, std::string_view name) {
  if (core::trim(name).empty() || name.size() > kLongestName) {
    refusals.add("/name", fmt::format("needs 1 to {} characters", kLongestName));
  }
}

/// The role's, and what is named besides.
std::vector<std::string> judge_scopes(Refusals& refusals, const CreateTokenRequest& request) {
  std::vector<std::string> scopes;
  if (request.role) {
    auto of_role = model::scopes_of_role(*request.role);
    if (!of_role) refusals.add("/role", fmt::format("'{}' is no role: use viewer, operator or admin", *request.role));
    scopes = of_role.value_or(scopes);
  } else if (request.scopes.empty()) {
    refusals.add("/scopes", fmt::format("names no scope, and there is no role: use {}", kScopeWords));
  }
  for (std::size_t i = 0; i < request.scopes.size(); ++i) {
    const auto& scope = request.scopes[i];
    if (!model::is_scope(scope)) {
      refusals.add(fmt::format("/scopes/{}", i), fmt::format("'{}' is no scope: use {}", scope, kScopeWords));
    }
    if (std::ranges::find(scopes, scope) == scopes.end()) scopes.push_back(scope);
  }
  return scopes;
}

/// A person who has logged in makes keys, and revokes them; a key makes none, so that its end is its end.
void require_token_maker(const Principal& principal) {
  if (principal.account_id.empty() || !principal.is_session) require_admin(principal);
}

/// Nobody gives away more than they have.
void judge_own(Refusals& refusals, const CreateTokenRequest& request, const std::vector<std::string>& scopes,
               const Principal& principal) {
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    if (!principal.may(scopes[i])) {
      refusals.add(fmt::format("/scopes/{}", i), fmt::format("'{}' is more than this account may", scopes[i]));
    }
  }
  if (request.all_teams && !principal.all_teams) refusals.add("/allTeams", "this account does not see all teams");
  for (std::size_t i = 0; i < request.team_ids.size(); ++i) {
    if (principal.sees_team(request.team_ids[i])) continue;
    refusals.add(fmt::format("/teamIds/{}", i),
                 fmt::format("this account does not see a team {}", request.team_ids[i]));
  }
}

/// Whoever has a token's text is its owner.
void require_power_over_owner(const Principal& principal, const model::Token& token, metadata::Transaction& tx) {
  if (principal.account_id.empty() || token.account_id == principal.account_id) return;
  if (token.account_id.empty()) {
    throw core::Error(core::Code::kForbidden, fmt::format("the token '{}' is the operator's", token.name))
        .with_hint("use a token that belongs to no account, such as the one in the state directory");
  }
  if (const auto owner = metadata::Accounts(tx).find(token.account_id)) require_power_over(principal, *owner, tx);
}

/// Revoking gives nothing away: superadmins may do it to the operator's tokens too, which may be in wrong hands.
void require_power_to_revoke(const Principal& principal, const model::Token& token, metadata::Transaction& tx) {
  const auto caller = principal.account_id.empty() ? std::nullopt : metadata::Accounts(tx).find(principal.account_id);
  if (token.account_id.empty() && caller && caller->role == model::AccountRole::kSuperadmin) return;
  require_power_over_owner(principal, token, tx);
}

}  // namespace

model::Team ServiceCommands::create_team(const CreateTeamRequest& request, const Principal& principal) {
  require_admin(principal);
  Refusals refusals;
  check_name(refusals, request.name);
  if (request.slug && *request.slug != model::slug_of(*request.slug)) {
    refusals.add("/slug", "may have lower case letters, digits and single hyphens, at most 63");
  }
  refusals.raise();
  model::Team team;
  team.name = request.name;
  team.slug = request.slug.value_or(model::slug_of(request.name));
  team.created_at = deps_.clock.now();
  return deps_.database.write([&](auto& tx) {
    auto made = metadata::Teams(tx).insert(team);
    take_effect(tx, principal, std::to_string(made.id));
    events_.record(tx, made.id, events::kTeamCreated, fmt::format("the team '{}' was made", made.name));
    return made;
  });
}

CreatedToken ServiceCommands::create_token(const CreateTokenRequest& request, const Principal& principal) {
  require_token_maker(principal);
  Refusals refusals;
  check_name(refusals, request.name);
  const auto scopes = judge_scopes(refusals, request);
  if (!principal.admin) judge_own(refusals, request, scopes, principal);
  if (request.expires_at && *request.expires_at <= deps_.clock.now()) refusals.add("/expiresAt", "has passed already");
  for (std::size_t i = 0; i < request.team_ids.size(); ++i) {
    const auto id = request.team_ids[i];
    if (!deps_.database.read([&](auto& tx) { return metadata::Teams(tx).find(id); })) {
      refusals.add(fmt::format("/teamIds/{}", i), fmt::format("there is no team {}", id));
    }
  }
  refusals.raise();

  auto made = new_token(deps_.random, deps_.clock.now(), request.prefix);
  made.token.name = request.name;
  made.token.scopes = scopes;
  made.token.all_teams = request.all_teams;
  made.token.team_ids = request.team_ids;
  made.token.account_id = principal.account_id;
  made.token.expires_at = request.expires_at;
  deps_.database.write([&](auto& tx) {
    metadata::Tokens(tx).insert(made.token);
    take_effect(tx, principal, made.token.id);
    events_.record(tx, 0, events::kTokenCreated, fmt::format("the token '{}' was made", request.name),
                   {{"token.id", made.token.id}});
  });
  return made;
}

CreatedToken ServiceCommands::rotate_token(const std::string& id, core::Duration overlap, std::string_view prefix,
                                           const Principal& principal) {
  require_token_maker(principal);
  const auto now = deps_.clock.now();
  return deps_.database.write([&](auto& tx) {
    const auto token = metadata::Tokens(tx).find(id);
    const bool seen = token && token->kind == model::TokenKind::kKey &&
                      (principal.admin || token->account_id == principal.account_id);
    if (!seen || !model::is_usable(*token, now)) {
      throw core::Error(core::Code::kNotFound, fmt::format("there is no token '{}'", id));
    }
    require_power_over_owner(principal, *token, tx);
    auto made = new_token(deps_.random, now, prefix);
    // What the old text opens ends with the token, and no later than the overlap.
    auto before = *token;
    before.id = made.token.id;
    before.kind = model::TokenKind::kFormer;
    before.key_id = id;
    before.expires_at = std::min(token->expires_at.value_or(now + overlap), now + overlap);
    metadata::Tokens(tx).revoke_former(id, now);
    metadata::Tokens(tx).replace_hash(id, made.token.hash);
    metadata::Tokens(tx).insert(before);
    made.token = metadata::Tokens(tx).find(id).value();
    take_effect(tx, principal, id);
    events_.record(tx, 0, events::kTokenRotated,
                   fmt::format("the token '{}' has a new text; the old one works for {} more", token->name,
                               core::format_duration(*before.expires_at - now)),
                   {{"token.id", id}});
    return made;
  });
}

Preview ServiceCommands::delete_token(const std::string& id, const Principal& principal, Effect effect) {
  require_token_maker(principal);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  const auto token = metadata::Tokens(tx).find(id);
  const bool seen = token && (principal.admin || token->account_id == principal.account_id);
  if (!seen) throw core::Error(core::Code::kNotFound, fmt::format("there is no token '{}'", id));
  require_power_to_revoke(principal, *token, tx);
  Preview preview{.effects = {fmt::format("the token '{}' is revoked: its next request is refused, and its event "
                                          "streams end",
                                          token->name)}};
  if (effect == Effect::kDryRun) return preview;
  metadata::Tokens(tx).revoke(id, deps_.clock.now());
  events_.record(tx, 0, events::kTokenDeleted, fmt::format("the token '{}' was revoked", id), {{"token.id", id}});
  tx.commit();
  return preview;
}

void ServiceCommands::touch(const std::string& token_id, core::Timestamp now) {
  try {
    deps_.database.write([&](auto& tx) { metadata::Tokens(tx).touch(token_id, now); });
  } catch (const core::Error& error) {
    // A state that takes no writes must not end what only reads.
    core::log_warning("token.use_not_noted", error.message(), {{"token", token_id}});
  }
}

std::optional<Principal> ServiceCommands::authenticate(std::string_view token_text) {
  const auto now = deps_.clock.now();
  auto tx = deps_.database.begin(metadata::Access::kRead);
  const auto token = usable_token(tx, token_text, now);
  if (!token) return std::nullopt;
  auto principal = principal_of(tx, *token);
  tx.commit();
  if (!token->last_used_at || now - *token->last_used_at > kTouchInterval) touch(token->id, now);
  return principal;
}

std::optional<core::Secret> ServiceCommands::bootstrap() {
  const bool first = deps_.database.read([](auto& tx) { return !metadata::Tokens(tx).any(); });
  if (!first) return std::nullopt;
  deps_.database.write([&](auto& tx) {
    if (!metadata::Teams(tx).list().empty()) return;
    model::Team team;
    team.name = team.slug = "default";
    team.created_at = deps_.clock.now();
    metadata::Teams(tx).insert(team);
  });
  Principal self;
  self.admin = true;
  return create_token({"admin", {std::string(model::kScopeAdmin)}, true, {}, {}}, self).text;
}

std::string ServiceCommands::export_recovery_kit(std::int64_t team_id, const Principal& principal) {
  require_write(principal);
  auto [team, destinations] = deps_.database.read([&](auto& tx) {
    const auto found = metadata::Teams(tx).find(team_id);
    if (!found || !principal.sees_team(team_id)) {
      throw core::Error(core::Code::kNotFound, fmt::format("there is no team {}", team_id));
    }
    return std::pair(*found, metadata::Destinations(tx).list(team_id));
  });
  if (team.recovery_key.empty()) {
    throw core::Error(core::Code::kConflict, fmt::format("the team '{}' has no destination yet", team.name))
        .with_hint("the kit is made with the team's first destination");
  }
  auto kit = deps_.stores.recovery_kit(team, destinations);
  team.kit_fetched_at = deps_.clock.now();
  deps_.database.write([&](auto& tx) {
    metadata::Teams(tx).update(team);
    events_.record(tx, team_id, events::kTeamKitExported,
                   fmt::format("the token '{}' fetched the recovery kit of the team; whoever has it can read the "
                               "team's backups without Backstay",
                               principal.token_name));
  });
  return kit;
}

}  // namespace backstay::control
