#include "control/token_access.h"

#include <algorithm>
#include <array>

#include "codec/hash.h"
#include "core/bytes.h"
#include "metadata/accounts.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

constexpr std::size_t kTokenLength = 40;
constexpr std::string_view kTokenPrefix = "bst_";

/// The account's own, as the scopes and teams of a token that allows all that it may.
model::Token as_token(const model::Account& account) {
  model::Token all;
  all.scopes = model::scopes_of(account.role);
  all.all_teams = model::is_admin(account.role);
  all.team_ids = account.team_ids;
  return all;
}

Principal allowed_by(const model::Token& token) {
  Principal principal;
  principal.admin = model::allows_scope(token, model::kScopeAdmin);
  principal.may_read = model::allows_scope(token, model::kScopeRead);
  principal.may_write = model::allows_scope(token, model::kScopeChange);
  principal.may_delete = model::allows_scope(token, model::kScopeDelete);
  principal.may_recover_in_place = model::allows_scope(token, model::kScopeRecoverInPlace);
  principal.may_read_metrics = model::allows_scope(token, model::kScopeMetrics);
  for (const auto scope : model::permissions(token)) {
    if (model::whole_of(scope)) principal.parts.emplace(scope);
  }
  principal.all_teams = token.all_teams || principal.admin;
  principal.team_ids.insert(token.team_ids.begin(), token.team_ids.end());
  return principal;
}

void narrow(Principal& principal, const Principal& bounds) {
  constexpr std::array kFlags{&Principal::admin,
                              &Principal::may_read,
                              &Principal::may_write,
                              &Principal::may_delete,
                              &Principal::may_recover_in_place,
                              &Principal::may_read_metrics};
  std::erase_if(principal.parts, [&](const std::string& scope) { return !bounds.may(scope); });
  for (const auto flag : kFlags) principal.*flag = principal.*flag && bounds.*flag;
  if (principal.all_teams) {
    principal.all_teams = bounds.all_teams;
    principal.team_ids = bounds.team_ids;
  } else if (!bounds.all_teams) {
    std::erase_if(principal.team_ids, [&](auto team) { return !bounds.team_ids.contains(team); });
  }
}

}  // namespace

CreatedToken new_token(core::Random& random, core::Timestamp now, std::string_view prefix) {
  const std::string_view begin = prefix.empty() ? kTokenPrefix : prefix;
  CreatedToken made{{}, core::Secret(std::string(begin) + random.token(kTokenLength))};
  made.token.id = random.uuid();
  made.token.hash = token_hash(made.text.reveal());
  made.token.created_at = now;
  return made;
}

std::string token_hash(std::string_view text) { return core::to_hex(codec::sha256(core::as_bytes(text))); }

std::optional<model::Token> usable_token(metadata::Transaction& tx, std::string_view text, core::Timestamp now) {
  metadata::Tokens tokens(tx);
  auto token = tokens.find_by_hash(token_hash(text));
  if (!token || token->kind == model::TokenKind::kRefresh || !model::is_usable(*token, now)) return std::nullopt;
  if (token->key_id.empty()) return token;
  const auto key = tokens.find(token->key_id);
  if (!key || !model::is_usable(*key, now)) return std::nullopt;
  return token;
}

std::optional<model::Token> usable_refresh(metadata::Transaction& tx, std::string_view text, core::Timestamp now) {
  auto token = metadata::Tokens(tx).find_by_hash(token_hash(text));
  if (!token || token->kind != model::TokenKind::kRefresh || !model::is_usable(*token, now)) return std::nullopt;
  // It is the text that another one had before.
  if (!token->key_id.empty()) return std::nullopt;
  return token;
}

std::optional<Principal> principal_of(metadata::Transaction& tx, const model::Token& token) {
  auto principal = allowed_by(token);
  principal.token_id = token.id;
  principal.token_name = token.name;
  principal.account_id = token.account_id;
  principal.is_session = token.kind == model::TokenKind::kSession;
  principal.grants = token.grants;
  if (token.account_id.empty()) return principal;
  const auto account = metadata::Accounts(tx).find(token.account_id);
  if (!account) return std::nullopt;
  narrow(principal, allowed_by(as_token(*account)));
  return principal;
}

}  // namespace backstay::control
