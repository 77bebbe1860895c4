// People: how they are entered, log in, and change what is theirs. What they may do, their tokens say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/event_log.h"
#include "control/login_attempts.h"
#include "control/principal.h"
#include "control/refusals.h"
#include "control/token_access.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/account.h"

namespace backstay::control {

struct AccountConfig {
  /// Whether the first account may be made by whoever comes first; else it takes an administrator's token.
  bool open_registration = false;
  core::Duration session_length = std::chrono::hours(12);
  /// How long a session that can be refreshed may lie before it is.
  core::Duration refresh_length = std::chrono::hours(24 * 30);
  std::uint32_t password_rounds = 600'000;
};

struct CreateAccountRequest {
  std::string email;
  core::Secret password;
  std::string first_name;
  std::string last_name;
  model::AccountRole role = model::AccountRole::kUser;
  std::vector<std::int64_t> team_ids;
};

/// What is absent keeps its value.
struct ChangeAccountRequest {
  std::optional<std::string> first_name;
  std::optional<std::string> last_name;
  /// By administrators only.
  std::optional<model::AccountRole> role;
  std::optional<std::vector<std::int64_t>> team_ids;
  std::optional<core::Secret> password;
};

struct Session {
  model::Account account{};
  CreatedToken token{};
  /// Of one that can be refreshed.
  std::optional<core::Secret> refresh{};
};

enum class Refreshable { kNo, kYes };

struct AccountDependencies {
  metadata::Database& database;
  core::Clock& clock;
  core::Random& random;
};

/// A superadmin is changed by superadmins alone, and by nobody made one. Throws Error(forbidden).
void require_power_over(const Principal& principal, const model::Account& account, metadata::Transaction& tx);

/// Thread-safe.
class Accounts {
 public:
  /// The dependencies outlive it.
  Accounts(AccountDependencies dependencies, AccountConfig config)
      : deps_(dependencies),
        config_(config),
        events_(dependencies.clock, dependencies.random),
        attempts_(dependencies.clock) {}

  /// Whether somebody is entered.
  bool is_set_up();
  /// Makes the first account, a superadmin, and logs it in. Throws Error(conflict) once there is one, Error(forbidden)
  /// saying how for whoever may not; `caller`: nobody, or who asks.
  Session register_first(const CreateAccountRequest& request, const Principal* caller);
  /// By an administrator. A role above the caller's own, and a superadmin, are not given.
  model::Account create(const CreateAccountRequest& request, const Principal& principal);

  /// Throws Error(unauthenticated) for a wrong address or password, which of the two it does not say, and
  /// Error(rate_limited) after too many.
  Session login(const std::string& email, const core::Secret& password, const std::string& address,
                Refreshable refreshable = Refreshable::kNo);
  /// The next session of what refreshes, with another text to refresh it. The session before goes on to its end. The
  /// old text ends all of this login when it is shown: two have had it. Throws Error(unauthenticated).
  Session refresh(const core::Secret& text, const std::string& address);
  /// Ends the caller's session, and what would refresh it. Throws Error(invalid_argument) for a token of no session.
  void logout(const Principal& principal);

  /// Throws Error(conflict) for a token that is nobody's.
  model::Account me(const Principal& principal);
  /// First and last name. These two throw Error(forbidden) for a key: they take a session.
  model::Account change_me(const ChangeAccountRequest& request, const Principal& principal);
  /// Ends the account's other sessions. Throws Error(invalid_argument) for a wrong current password.
  void change_password(const core::Secret& current, const core::Secret& wanted, const Principal& principal,
                       const std::string& address);

  /// For administrators: by when they were made.
  std::vector<model::Account> list(const Principal& principal);
  model::Account find(const std::string& id, const Principal& principal);
  /// A new role, other teams or a new password end its sessions.
  model::Account change(const std::string& id, const ChangeAccountRequest& request, const Principal& principal);
  /// With its sessions and keys. Throws Error(conflict) for the last superadmin.
  void remove(const std::string& id, const Principal& principal);

 private:
  model::Account made_of(const CreateAccountRequest& request);
  CreatedToken begin_session(metadata::Transaction& tx, model::Account& account, const std::string& refresh_id = {});
  /// What refreshes sessions of the account: a new one.
  CreatedToken begin_refreshing(metadata::Transaction& tx, const model::Account& account);
  void check_password(Refusals& refusals, const core::Secret& password, std::string_view pointer);
  void require_owner(metadata::Transaction& tx, const model::Account& before, std::optional<model::AccountRole> after);
  void check_teams(metadata::Transaction& tx, const std::vector<std::int64_t>& team_ids);
  void tell(metadata::Transaction& tx, EventKind kind, const std::string& body, const model::Account& account);

  AccountDependencies deps_;
  AccountConfig config_;
  EventLog events_;
  LoginAttempts attempts_;
};

}  // namespace backstay::control
