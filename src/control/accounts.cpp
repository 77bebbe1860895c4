#include "control/accounts.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/events.h"
#include "control/idempotency.h"
#include "control/password.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metadata/accounts.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using core::Code;
using core::Error;
using model::AccountRole;

constexpr std::size_t kShortestPassword = 8;
constexpr std::size_t kLongestPassword = 1000;
constexpr std::size_t kLongestName = 100;

Error no_account(const std::string& id) { return {Code::kNotFound, fmt::format("there is no account '{}'", id)}; }

const std::string& require_person(const Principal& principal) {
  if (principal.account_id.empty()) {
    throw Error(Code::kConflict, fmt::format("the token '{}' belongs to no account", principal.token_name))
        .with_hint("log in, and use the token of that session");
  }
  return principal.account_id;
}

/// A key is for programs, and may be in many hands: an account is changed by whoever can log in to it.
const std::string& require_session(const Principal& principal) {
  const auto& id = require_person(principal);
  if (principal.is_session) return id;
  throw Error(Code::kForbidden,
              fmt::format("the token '{}' is a key, which cannot change its account", principal.token_name))
      .with_hint("log in, and use the token of that session");
}

void check_name(Refusals& refusals, std::string_view name, const char* pointer) {
  if (name.size() > kLongestName) refusals.add(pointer, fmt::format("has at most {} bytes", kLongestName));
}

/// Kept beside its successor, which its use ends: two have had it, and one of them should not.
core::Secret replace_text(metadata::Transaction& tx, const model::Token& refresh, CreatedToken next,
                          core::Timestamp expires_at) {
  metadata::Tokens tokens(tx);
  auto spent = refresh;
  spent.id = next.token.id;
  spent.key_id = refresh.id;
  spent.created_at = next.token.created_at;
  spent.expires_at = expires_at;
  tokens.replace_hash(refresh.id, next.token.hash);
  tokens.extend(refresh.id, expires_at);
  tokens.insert(spent);
  return std::move(next.text);
}

/// What still refreshes sessions and had this text before.
std::optional<model::Token> refresh_spent_as(metadata::Transaction& tx, std::string_view text, core::Timestamp now) {
  metadata::Tokens tokens(tx);
  const auto spent = tokens.find_by_hash(token_hash(text));
  if (!spent || spent->kind != model::TokenKind::kRefresh || spent->key_id.empty()) return std::nullopt;
  auto refresh = tokens.find(spent->key_id);
  if (!refresh || !model::is_usable(*refresh, now)) return std::nullopt;
  return refresh;
}

}  // namespace

void require_power_over(const Principal& principal, const model::Account& account, metadata::Transaction& tx) {
  if (account.role != AccountRole::kSuperadmin || principal.account_id.empty()) return;
  const auto caller = metadata::Accounts(tx).find(principal.account_id);
  if (caller && caller->role == AccountRole::kSuperadmin) return;
  throw Error(Code::kForbidden, fmt::format("the account '{}' is a superadmin's", account.email));
}

void Accounts::check_password(Refusals& refusals, const core::Secret& password, std::string_view pointer) {
  const auto size = password.reveal().size();
  if (size >= kShortestPassword && size <= kLongestPassword) return;
  refusals.add(std::string(pointer), fmt::format("needs {} to {} bytes", kShortestPassword, kLongestPassword));
}

void Accounts::check_teams(metadata::Transaction& tx, const std::vector<std::int64_t>& team_ids) {
  Refusals refusals;
  for (std::size_t i = 0; i < team_ids.size(); ++i) {
    if (metadata::Teams(tx).find(team_ids[i])) continue;
    refusals.add(fmt::format("/teamIds/{}", i), fmt::format("there is no team {}", team_ids[i]));
  }
  refusals.raise();
}

void Accounts::tell(metadata::Transaction& tx, EventKind kind, const std::string& body, const model::Account& account) {
  events_.record(tx, 0, kind, body, {{"account.id", account.id}});
}

bool Accounts::is_set_up() {
  return deps_.database.read([](auto& tx) { return metadata::Accounts(tx).any(); });
}

model::Account Accounts::made_of(const CreateAccountRequest& request) {
  Refusals refusals;
  model::Account account;
  refusals.check([&] { account.email = model::checked_email(request.email); });
  check_password(refusals, request.password, "/password");
  check_name(refusals, request.first_name, "/firstName");
  check_name(refusals, request.last_name, "/lastName");
  refusals.raise();
  account.id = deps_.random.uuid();
  account.first_name = request.first_name;
  account.last_name = request.last_name;
  account.role = request.role;
  account.team_ids = request.team_ids;
  account.password_hash = hash_password(request.password, config_.password_rounds, deps_.random);
  account.created_at = account.updated_at = deps_.clock.now();
  return account;
}

Session Accounts::register_first(const CreateAccountRequest& request, const Principal* caller) {
  const auto require_none = [&] {
    if (!is_set_up()) return;
    throw Error(Code::kConflict, "there are accounts already").with_hint("ask an administrator for an account");
  };
  require_none();
  if (!config_.open_registration && (caller == nullptr || !caller->admin)) {
    throw Error(Code::kForbidden, "the first account is made by whoever runs the server")
        .with_hint(
            "send the request with the administrator's token of the state directory, or set "
            "accounts.open_registration for as long as it takes");
  }
  auto account = made_of(request);
  account.role = AccountRole::kSuperadmin;
  account.team_ids.clear();
  return deps_.database.write([&](auto& tx) {
    if (metadata::Accounts(tx).any()) throw Error(Code::kConflict, "there are accounts already");
    metadata::Accounts(tx).insert(account);
    tell(tx, events::kAccountCreated, fmt::format("the first account, '{}', was made", account.email), account);
    auto token = begin_session(tx, account);
    return Session{account, std::move(token)};
  });
}

model::Account Accounts::create(const CreateAccountRequest& request, const Principal& principal) {
  require_admin(principal);
  auto account = made_of(request);
  deps_.database.write([&](auto& tx) {
    // The first one is the server's owner; later ones are made below it.
    const bool first = !metadata::Accounts(tx).any();
    if (first) account.role = AccountRole::kSuperadmin;
    if (!first && account.role == AccountRole::kSuperadmin) require_power_over(principal, account, tx);
    check_teams(tx, account.team_ids);
    if (metadata::Accounts(tx).find_by_email(account.email)) {
      throw Error(Code::kAlreadyExists, fmt::format("there is an account '{}' already", account.email))
          .with_field("/email", "has an account already");
    }
    metadata::Accounts(tx).insert(account);
    take_effect(tx, principal, account.id);
    tell(tx, events::kAccountCreated, fmt::format("the account '{}' was made", account.email), account);
  });
  return account;
}

CreatedToken Accounts::begin_refreshing(metadata::Transaction& tx, const model::Account& account) {
  auto made = new_token(deps_.random, deps_.clock.now());
  made.token.kind = model::TokenKind::kRefresh;
  made.token.name = account.email;
  made.token.account_id = account.id;
  made.token.expires_at = deps_.clock.now() + config_.refresh_length;
  metadata::Tokens(tx).insert(made.token);
  return made;
}

CreatedToken Accounts::begin_session(metadata::Transaction& tx, model::Account& account,
                                     const std::string& refresh_id) {
  auto made = new_token(deps_.random, deps_.clock.now());
  made.token.kind = model::TokenKind::kSession;
  made.token.key_id = refresh_id;
  made.token.name = account.email;
  made.token.account_id = account.id;
  made.token.scopes = model::scopes_of(account.role);
  made.token.all_teams = model::is_admin(account.role);
  made.token.team_ids = account.team_ids;
  made.token.expires_at = deps_.clock.now() + config_.session_length;
  account.last_login_at = deps_.clock.now();
  metadata::Accounts(tx).update(account);
  metadata::Tokens(tx).insert(made.token);
  tell(tx, events::kSessionBegun, fmt::format("'{}' logged in", account.email), account);
  return made;
}

Session Accounts::login(const std::string& email, const core::Secret& password, const std::string& address,
                        Refreshable refreshable) {
  const auto wanted = core::to_lower(core::trim(email));
  attempts_.begin(wanted, address);
  const auto found = deps_.database.read([&](auto& tx) { return metadata::Accounts(tx).find_by_email(wanted); });
  // An address that is not known takes as long as one that is.
  const auto hash = found ? found->password_hash : fmt::format("pbkdf2-sha256:{}:{}:", config_.password_rounds, "00");
  if (!matches_password(password, hash) || !found) {
    core::log_warning("login.refused", "a login was refused", {{"client", address}});
    throw Error(Code::kUnauthenticated, "the e-mail address or the password is wrong");
  }
  attempts_.succeeded(wanted, address);
  return deps_.database.write([&](auto& tx) {
    auto account = metadata::Accounts(tx).find(found->id);
    if (!account || account->password_hash != found->password_hash) {
      throw Error(Code::kUnauthenticated, "the e-mail address or the password is wrong");
    }
    if (refreshable == Refreshable::kNo) return Session{*account, begin_session(tx, *account)};
    auto refresh = begin_refreshing(tx, *account);
    auto token = begin_session(tx, *account, refresh.token.id);
    return Session{*account, std::move(token), std::move(refresh.text)};
  });
}

Session Accounts::refresh(const core::Secret& text, const std::string& address) {
  const auto now = deps_.clock.now();
  const auto [is_known, is_spent] = deps_.database.read([&](auto& tx) {
    return std::pair(usable_refresh(tx, text.reveal(), now).has_value(),
                     refresh_spent_as(tx, text.reveal(), now).has_value());
  });
  auto session = !is_known ? std::nullopt : deps_.database.write([&](auto& tx) -> std::optional<Session> {
    const auto known = usable_refresh(tx, text.reveal(), now);
    auto account = known ? metadata::Accounts(tx).find(known->account_id) : std::nullopt;
    if (!account) return std::nullopt;
    auto next = replace_text(tx, *known, new_token(deps_.random, now), now + config_.refresh_length);
    auto token = begin_session(tx, *account, known->id);
    return Session{*account, std::move(token), std::move(next)};
  });
  if (session) return *std::move(session);
  if (is_spent) {
    deps_.database.write([&](auto& tx) {
      const auto refresh = refresh_spent_as(tx, text.reveal(), now);
      if (refresh) metadata::Tokens(tx).revoke(refresh->id, now);
    });
  }
  core::log_warning("login.refused",
                    is_spent ? "an old text was shown to refresh a session: all of that login has ended"
                             : "a session was not refreshed",
                    {{"client", address}});
  throw Error(Code::kUnauthenticated, "the refresh token is unknown, expired, or was used before")
      .with_hint("log in again");
}

void Accounts::logout(const Principal& principal) {
  if (!principal.is_session) {
    throw Error(Code::kInvalidArgument, fmt::format("the token '{}' is of no session", principal.token_name))
        .with_hint("revoke a key with DELETE /api/tokens/{id}");
  }
  deps_.database.write([&](auto& tx) {
    metadata::Tokens tokens(tx);
    const auto session = tokens.find(principal.token_id);
    tokens.revoke(principal.token_id, deps_.clock.now());
    if (session && !session->key_id.empty()) tokens.revoke(session->key_id, deps_.clock.now());
  });
}

model::Account Accounts::me(const Principal& principal) {
  const auto& id = require_person(principal);
  auto account = deps_.database.read([&](auto& tx) { return metadata::Accounts(tx).find(id); });
  if (!account) throw no_account(id);
  return *std::move(account);
}

model::Account Accounts::change_me(const ChangeAccountRequest& request, const Principal& principal) {
  const auto& id = require_session(principal);
  Refusals refusals;
  if (request.first_name) check_name(refusals, *request.first_name, "/firstName");
  if (request.last_name) check_name(refusals, *request.last_name, "/lastName");
  refusals.raise();
  return deps_.database.write([&](auto& tx) {
    auto account = metadata::Accounts(tx).find(id);
    if (!account) throw no_account(id);
    account->first_name = request.first_name.value_or(account->first_name);
    account->last_name = request.last_name.value_or(account->last_name);
    account->updated_at = deps_.clock.now();
    metadata::Accounts(tx).update(*account);
    return *account;
  });
}

void Accounts::change_password(const core::Secret& current, const core::Secret& wanted, const Principal& principal,
                               const std::string& address) {
  static_cast<void>(require_session(principal));
  auto account = me(principal);
  Refusals refusals;
  check_password(refusals, wanted, "/newPassword");
  refusals.raise();
  attempts_.begin(account.email, address);
  if (!matches_password(current, account.password_hash)) {
    throw Error(Code::kInvalidArgument, "the current password is wrong")
        .with_field("/currentPassword", "is not the account's password");
  }
  attempts_.succeeded(account.email, address);
  const auto hash = hash_password(wanted, config_.password_rounds, deps_.random);
  deps_.database.write([&](auto& tx) {
    auto latest = metadata::Accounts(tx).find(account.id);
    if (!latest) throw no_account(account.id);
    latest->password_hash = hash;
    latest->updated_at = deps_.clock.now();
    metadata::Accounts(tx).update(*latest);
    metadata::Tokens(tx).revoke_sessions(latest->id, principal.token_id, deps_.clock.now());
    tell(tx, events::kAccountPasswordChanged,
         fmt::format("'{}' has a new password; the account's other sessions have ended", latest->email), *latest);
  });
}

std::vector<model::Account> Accounts::list(const Principal& principal) {
  require_admin(principal);
  return deps_.database.read([](auto& tx) { return metadata::Accounts(tx).list(); });
}

model::Account Accounts::find(const std::string& id, const Principal& principal) {
  require_admin(principal);
  auto account = deps_.database.read([&](auto& tx) { return metadata::Accounts(tx).find(id); });
  if (!account) throw no_account(id);
  return *std::move(account);
}

model::Account Accounts::change(const std::string& id, const ChangeAccountRequest& request,
                                const Principal& principal) {
  require_admin(principal);
  Refusals refusals;
  if (request.first_name) check_name(refusals, *request.first_name, "/firstName");
  if (request.last_name) check_name(refusals, *request.last_name, "/lastName");
  if (request.password) check_password(refusals, *request.password, "/password");
  refusals.raise();
  const auto hash = request.password ? hash_password(*request.password, config_.password_rounds, deps_.random) : "";
  return deps_.database.write([&](auto& tx) {
    auto account = metadata::Accounts(tx).find(id);
    if (!account) throw no_account(id);
    require_power_over(principal, *account, tx);
    const auto before = *account;
    account->first_name = request.first_name.value_or(account->first_name);
    account->last_name = request.last_name.value_or(account->last_name);
    account->role = request.role.value_or(account->role);
    account->team_ids = request.team_ids.value_or(account->team_ids);
    if (!hash.empty()) account->password_hash = hash;
    if (account->role != before.role) require_power_over(principal, *account, tx);
    require_owner(tx, before, account->role);
    check_teams(tx, account->team_ids);
    account->updated_at = deps_.clock.now();
    metadata::Accounts(tx).update(*account);
    const bool ends = account->role != before.role || account->team_ids != before.team_ids || !hash.empty();
    if (ends) metadata::Tokens(tx).revoke_sessions(id, "", deps_.clock.now());
    tell(tx, events::kAccountUpdated, fmt::format("the account '{}' was changed", account->email), *account);
    return *account;
  });
}

/// Somebody must be left whom nobody else can lock out.
void Accounts::require_owner(metadata::Transaction& tx, const model::Account& before,
                             std::optional<AccountRole> after) {
  if (before.role != AccountRole::kSuperadmin || after == AccountRole::kSuperadmin) return;
  const auto all = metadata::Accounts(tx).list();
  if (std::ranges::count(all, AccountRole::kSuperadmin, &model::Account::role) > 1) return;
  throw Error(Code::kConflict, fmt::format("the account '{}' is the last superadmin's", before.email))
      .with_hint("make another superadmin first");
}

void Accounts::remove(const std::string& id, const Principal& principal) {
  require_admin(principal);
  deps_.database.write([&](auto& tx) {
    const auto account = metadata::Accounts(tx).find(id);
    if (!account) throw no_account(id);
    require_power_over(principal, *account, tx);
    require_owner(tx, *account, std::nullopt);
    metadata::Accounts(tx).remove(id);
    tell(tx, events::kAccountDeleted,
         fmt::format("the account '{}' was removed; its sessions and keys have ended", account->email), *account);
  });
}

}  // namespace backstay::control
